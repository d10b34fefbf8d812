# SPDX-License-Identifier: Apache-2.0
"""A daemon that listens beyond loopback: nobody comes in without a key, each key opens its rooms
only, and what is secret stays so."""

import glob
import json
import os
import re
import socket

import pytest

from harness import daemon, killing, wait
from harness import receiver as hooks
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

METHODS = {"get", "post", "patch", "put", "delete"}
OPEN = ("get", "/healthz")
HOOK = "/livekit/webhook"
WRONG = (None, "", "Bearer", "Bearer ", "Bearer wrong-key", "Bearer all-room", "Bearer all-roomsX",
         "bearer  ", "Basic YWxsLXJvb21zOg==", "all-rooms", "Bearer all-rooms, Bearer all-rooms")
KEYS = [{"key": "all-rooms"}, {"key": "only-a", "rooms": "a-*"}]
TOKENS = [{"token": "whip-for-all"}, {"token": "whip-for-a", "rooms": "a-*"}]
SDP = {"Content-Type": "application/sdp"}


def own_address():
    """An address of this machine that is not loopback, else 127.0.0.1. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.255", 9))
        except OSError:
            return "127.0.0.1"
        return sock.getsockname()[0]


class Outside(daemon.Serve):
    """A daemon on all addresses of the machine."""

    def start(self, *more):
        self.process = self.deck.spawn("serve", "--listen", f"0.0.0.0:{self.port}", "--data-dir",
                                       self.data, "--loopback", *more)
        said = self.process.wait_for(
            lambda: re.search(r"listening on http://0\.0\.0\.0:(\d+)", self.process.result().out),
            "the daemon to listen")
        self.port = int(said.group(1))

    @property
    def url(self):
        return f"http://{own_address()}:{self.port}"

    def call(self, method, path, authorization=None, body=None, **headers):
        if authorization is not None:
            headers["Authorization"] = authorization
        return daemon.call(method.upper(), self.url + path, body, headers)


@pytest.fixture
def outside(tapedeck, livekit, tmp_path):
    """outside(*options, **settings): a daemon that listens everywhere."""
    started = []

    def make(*options, **settings):
        config = tmp_path / f"settings-{len(started)}.yaml"
        config.write_text(json.dumps({"ws_url": livekit.url, "api_key": KEY, "api_secret": SECRET,
                                      **settings}), encoding="utf-8")  # JSON is YAML
        data = tmp_path / f"data-{len(started)}"
        started.append(Outside(tapedeck, data, "-c", config, *options))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


def routes(server):
    answer = server.call("get", "/openapi.json", "Bearer all-rooms")
    assert answer.status == 200, answer
    return [(method, path) for path, item in answer.json()["paths"].items()
            for method in sorted(METHODS & item.keys())]


def filled(path, recording):
    values = {"id": recording, "mint_id": "a-room", "room": "a-room", "session": "whs_x",
              "name": "manifest.json"}
    return re.sub(r"\{(\w+)\}", lambda found: values[found.group(1)], path)


def test_every_route_wants_a_key(outside):
    server = outside(api_keys=KEYS, whip={"tokens": TOKENS})
    started = server.call("post", "/api/recording/start/a-room", "Bearer all-rooms")
    assert started.status == 201, started
    found = routes(server)
    assert len(found) >= 24 and OPEN in found
    for method, path in found:
        path = filled(path, started.json()["id"])
        for key in WRONG:
            answer = server.call(method, path, key)
            if (method, path) == OPEN:
                assert answer.status == 200, (path, key, answer)
                continue
            assert answer.status == 401, (method, path, key, answer)
            if path != HOOK:  # whose callers sign
                assert answer.headers["WWW-Authenticate"].startswith("Bearer"), (method, path)
            assert b"a-room" not in answer.body and b"rec_" not in answer.body
        if method == "get" and (method, path) != OPEN:
            assert server.call("head", path).status == 401, path
    # Nothing of it was done.
    shown = server.call("get", "/api/recordings", "Bearer all-rooms").json()["recordings"]
    assert [(r["id"], r["state"]) for r in shown] == [(started.json()["id"], "waiting")]


def test_paths_that_only_look_open(outside):
    server = outside(api_keys=KEYS)
    for path in ("/healthz/../metrics", "/healthz/..%2fmetrics", "//metrics", "/healthz//metrics",
                 "/%6detrics", "/healthzz", "/api/recordings?x=/healthz", "/METRICS", "/"):
        answer = server.call("get", path)
        assert answer.status in (400, 401, 404), (path, answer)
        assert b"tapedeck_" not in answer.body, path


@pytest.mark.parametrize("settings", [
    {}, {"whip": {"tokens": TOKENS}}, {"api_keys": []}])
def test_no_start_without_keys(tapedeck, tmp_path, settings):
    config = tmp_path / "settings.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    for address in ("0.0.0.0:0", "[::]:0", own_address() + ":0"):
        if address.startswith("127."):
            continue
        refused = tapedeck.run("serve", "--listen", address, "--data-dir", tmp_path / "data", "-c",
                               config, seconds=20)
        assert refused.code == deck.USAGE, refused
        assert "api_keys" in refused.sentence()
        assert "listening" not in refused.out


def test_a_word_on_tls(outside):
    server = outside("--token", "all-rooms")
    assert "TLS" in server.process.result().err
    assert server.call("get", "/api/recordings").status == 401
    assert server.call("get", "/api/recordings", "Bearer all-rooms").status == 200


def test_a_key_opens_its_rooms_only(outside):
    server = outside(api_keys=KEYS, whip={"tokens": TOKENS})
    allowed = server.call("post", "/api/recording/start/a-room", "Bearer only-a")
    assert allowed.status == 201, allowed
    other = server.call("post", "/api/recording/start/b-room", "Bearer all-rooms").json()["id"]
    for method, path, body in [
            ("post", "/api/recording/start/b-room", None),
            ("post", "/api/recording/stop/b-room", None),
            ("get", "/api/recording/status/b-room", None),
            ("get", f"/api/recordings/{other}", None),
            ("patch", f"/api/recordings/{other}", b"{}"),
            ("delete", f"/api/recordings/{other}", None),
            ("post", f"/api/recordings/{other}/stop", None),
            ("get", f"/api/recordings/{other}/files/manifest.json", None),
            ("get", f"/api/recordings/{other}/events", None),
            ("post", "/api/recordings", b'{"room": "b-room"}')]:
        headers = {"Content-Type": "application/json"} if body else {}
        answer = server.call(method, path, "Bearer only-a", body, **headers)
        assert (answer.status, answer.json()["code"]) == (403, "forbidden_room"), (path, answer)
    shown = server.call("get", "/api/recordings", "Bearer only-a").json()["recordings"]
    assert [r["id"] for r in shown] == [allowed.json()["id"]]
    answer = server.call("get", "/api/recordings?room=b-room", "Bearer only-a")
    assert (answer.status, answer.json()["code"]) == (403, "forbidden_room"), answer


def test_a_publisher_shows_its_own_token(outside, tapedeck):
    server = outside(api_keys=KEYS, whip={"tokens": TOKENS})
    offer = {"body": b"v=0\r\n", **SDP}
    for token, room, status in [("all-rooms", "a-room", 401), ("only-a", "a-room", 401),
                                ("whip-for-a", "b-room", 403), ("whip-for-a", "a-room", 422),
                                ("whip-for-all", "b-room", 422)]:
        answer = server.call("post", "/whip/" + room, "Bearer " + token, **offer)
        assert answer.status == status, (token, room, answer)
    for key in ("whip-for-all", "whip-for-a"):
        assert server.call("get", "/api/recordings", "Bearer " + key).status == 401
    sender = daemon.Publish(tapedeck, "--whip", server.url + "/whip/a-room", "--whip-token",
                            "whip-for-a", *killing.SMALL)
    sender.wait_sending()
    server.process.wait_growth(server.wait_growing())
    status = server.call("get", "/api/recording/status/a-room", "Bearer all-rooms").json()
    session = "/whip/a-room/" + status["whip_session"]
    for token, expected in [(None, 401), ("all-rooms", 401), ("whip-for-nobody", 401)]:
        answer = server.call("delete", session, token and "Bearer " + token)
        assert answer.status == expected, (token, answer)
    assert sender.stop() == deck.DONE


# ---- secrets ----

SECRETS = {name: f"{name}-secret-0123456789abcdef-0123456789" for name in
           ("key", "other-key", "whip", "webhook", "flag", "asked-token")}


def read_everything(folder):
    for path in glob.glob(os.path.join(folder, "**"), recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                yield path, f.read()


def assert_not_told(where, text):
    text = text if isinstance(text, bytes) else text.encode()
    told = [name for name, secret in [*SECRETS.items(), ("livekit", SECRET)]
            if secret.encode() in text]
    assert not told, f"{where} tells the secret of {told}"


def test_no_secret_is_told(outside, tapedeck, livekit, publish, room, tmp_path):
    ears = hooks.Receiver(key="hook", secret=SECRETS["webhook"])
    ears.up()
    server = outside(
        "--token", SECRETS["flag"], "--api-key", KEY, "--api-secret", SECRET, "--log-level",
        "debug", api_keys=[{"key": SECRETS["key"]}, {"key": SECRETS["other-key"], "rooms": "x"}],
        whip={"tokens": [{"token": SECRETS["whip"]}]},
        webhooks=[{"url": ears.url(), "api_key": "hook", "api_secret": SECRETS["webhook"]}])
    bearer = "Bearer " + SECRETS["flag"]
    publish(room, codec="VP8", width=320, height=240, kbps=300)
    begun = server.call("post", "/api/recordings", bearer,
                        json.dumps({"room": room}).encode(), **{"Content-Type": "application/json"})
    assert begun.status == 201, begun
    refused = server.call("post", "/api/recordings", bearer, json.dumps(
        {"room": "x", "url": livekit.url, "token": SECRETS["asked-token"]}).encode(),
        **{"Content-Type": "application/json"})
    assert refused.status == 502, refused
    assert server.call("get", "/api/recordings", bearer[:-1]).status == 401
    sender = daemon.Publish(tapedeck, "--whip", server.url + "/whip/room", "--whip-token",
                            SECRETS["whip"], *killing.SMALL)
    sender.wait_sending()
    server.process.wait_for(lambda: len(server.growing_files()) == 2, "both recordings")

    with open(f"/proc/{server.pid}/cmdline", "rb") as f:
        assert_not_told("the command line", f.read())
    for path in ("/metrics", "/api/recordings", "/healthz", "/readyz", "/openapi.json",
                 f"/api/recordings/{begun.json()['id']}"):
        assert_not_told(path, server.call("get", path, bearer).body)
    printed = tapedeck.run("config", "print", "-c", tmp_path / "settings-0.yaml")
    assert printed.code == deck.DONE and "(secret)" in printed.out
    assert_not_told("config print", printed.out + printed.err)

    assert sender.stop() == deck.DONE
    server.process.kill()
    server.start("-c", tmp_path / "settings-0.yaml", "--token", SECRETS["flag"])
    wait.until(lambda: server.call("get", "/readyz", bearer).status == 200, "it to be ready")
    wait.until(lambda: ears.letters, "a webhook")
    for letter in list(ears.letters):
        assert_not_told("a webhook", json.dumps(letter.body))
    assert server.process.interrupt().code == deck.DONE
    told = list(read_everything(tapedeck.folder))
    assert any(b"event=listening" in text for _, text in told)
    recorded = list(read_everything(os.path.join(server.data, "recordings")))
    assert len([p for p, _ in recorded if p.endswith("manifest.json")]) >= 2
    for path, text in told + recorded:
        if "publish" not in os.path.basename(path):
            assert_not_told(path, text)
    # What is needed to go on after a crash is for our eyes only.
    for path in glob.glob(os.path.join(server.data, "catalog.db*")):
        assert os.stat(path).st_mode & 0o077 == 0, path
