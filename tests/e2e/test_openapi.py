# SPDX-License-Identifier: Apache-2.0
"""/openapi.json is true: schemathesis makes its own requests from it, good ones and bad ones, and every
answer has to be one that is written there."""

import json
import os
import subprocess
import sys

import pytest

from harness import daemon
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = os.environ.get("TAPEDECK_SEED", "20261121")
EXAMPLES = os.environ.get("TAPEDECK_EXAMPLES", "20")  # requests of a kind for each operation
BEARER = {"Authorization": "Bearer key-for-all-rooms"}
METHODS = {"get", "post", "patch", "delete"}


@pytest.fixture
def server(tapedeck, livekit, tmp_path):
    config = tmp_path / "tapedeck.yaml"
    config.write_text(json.dumps({  # JSON is YAML
        "ws_url": livekit.url, "api_key": KEY, "api_secret": SECRET,
        "api_keys": [{"key": "key-for-all-rooms"}], "whip": {"tokens": [{"token": "token-for-whip"}]},
        "limits": {"empty_timeout_s": 20}}), encoding="utf-8")
    one = daemon.Serve(tapedeck, tmp_path / "data", "-c", config)
    yield one
    if one.process.alive():
        result = one.process.interrupt()
        assert result.code == deck.DONE, result


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def for_the_test(document, recordings):
    """The document without what has no end (event streams, following a file) and without servers of
    the caller's choice: invented ones would be asked for. The recordings are examples of ids."""
    del document["paths"]["/api/recordings/{id}/events"]
    for _, method, operation in operations(document):
        operation["parameters"] = [p for p in operation.get("parameters", [])
                                   if p.get("$ref") != "#/components/parameters/Follow"]
    request = document["components"]["schemas"]["RecordingRequest"]["properties"]
    del request["url"], request["token"]
    document["components"]["parameters"]["Id"]["examples"] = {
        name: {"value": value} for name, value in recordings.items()}
    return document


def begin(server, room):
    answer = server.post("/api/recording/start/" + room, **BEARER)
    assert answer.status == 201, answer
    return answer.json()["id"]


def test_schemathesis_finds_nothing(server, publish, room, tmp_path):
    publish(room, codec="H264", width=640, height=360, kbps=800)
    running = begin(server, room)
    server.process.wait_growth(server.wait_growing(), more=100_000)
    ended = begin(server, room + "-ended")
    assert server.post("/api/recording/stop/" + room + "-ended", **BEARER).status == 200
    schema = tmp_path / "openapi.json"
    document = server.get("/openapi.json", **BEARER).json()
    schema.write_text(json.dumps(for_the_test(document, {"running": running, "ended": ended})),
                      encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment["PYTHONPATH"] = HERE  # of the hooks
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file",
         os.path.join(HERE, "schemathesis.toml"), "run", str(schema), "--url", server.url, "--seed",
         SEED, "--max-examples", EXAMPLES, "--request-timeout", "20", "--warnings", "off",
         "--continue-on-failure", "--suppress-health-check", "all"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1500,
        env=environment, check=False)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-3000:]
    tested = len(list(operations(json.loads(schema.read_text(encoding="utf-8")))))
    assert f"Tested: {tested}" in done.stdout, done.stdout[-3000:]
    assert server.process.alive(), server.process.result()
    assert server.get("/healthz").status == 200


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_is_whole(server):
    document = server.get("/openapi.json", **BEARER).json()
    assert document["info"]["version"] == server.get("/healthz").json()["version"]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 20
    used = set(references(document))
    for reference in used:
        node = document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
    for kind in ("schemas", "responses", "parameters", "headers"):
        unused = {f"#/components/{kind}/{name}" for name in document["components"][kind]} - used
        assert unused <= {"#/components/schemas/Stats"}, unused


def test_each_route_is_there_and_asks_for_a_key(server):
    """With a method that it does not have each answers 405; without a key 401, but for /healthz."""
    document = server.get("/openapi.json", **BEARER).json()
    whip = {"Authorization": "Bearer token-for-whip"}
    values = {"id": "rec_x", "name": "x.ts", "mint_id": "r", "room": "r", "session": "whs_x"}
    for path, method, operation in operations(document):
        url = server.url + path.format(**values)
        security = operation.get("security", document["security"])
        if security:
            answer = daemon.call(method.upper(), url)
            assert answer.status == 401, (method, path)
            assert answer.json()["code"] in ("unauthorized", "bad_signature"), (method, path)
        shown = {} if not security else whip if "whip" in security[0] else BEARER
        answer = daemon.call("PUT", url, b"", shown)
        if security != [{"livekit": []}]:
            assert answer.status in (404, 405), (path, answer)
            assert answer.json()["code"] in ("method_not_allowed", "no_such_session"), (path, answer)
