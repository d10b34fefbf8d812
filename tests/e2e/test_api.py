# SPDX-License-Identifier: Apache-2.0
"""The JSON API against a running daemon and a real livekit-server: start, watch, change, remove."""

import concurrent.futures
import json
import os
import subprocess

import pytest

from harness import daemon, sse, wait
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

SMALL = {"codec": "H264", "width": 640, "height": 360, "kbps": 800}
JSON = {"Content-Type": "application/json"}
SHOWN = {"id", "room", "state", "reason", "outputs"}


class Serve(daemon.Serve):
    """A daemon that knows the LiveKit server; `settings` go into its configuration file."""

    def __init__(self, tapedeck, folder, livekit, settings):
        folder.mkdir()
        config = folder / "tapedeck.yaml"
        config.write_text(json.dumps({"ws_url": livekit.url, "api_key": KEY, "api_secret": SECRET,
                                      **settings}), encoding="utf-8")  # JSON is YAML
        self.options = ("-c", config)
        super().__init__(tapedeck, folder / "data", *self.options)

    def restart(self):
        result = self.process.interrupt()
        assert result.code == deck.DONE, result
        self.start(*self.options)

    def send(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        return daemon.call(method, self.url + path, data,
                           {**(JSON if body is not None else {}), **headers})

    def begin(self, room, **more):
        """201 of POST /api/recordings."""
        headers = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
        answer = self.send("POST", "/api/recordings", {"room": room, **more}, **headers)
        assert answer.status == 201, answer
        return answer.json()["id"]

    def show(self, recording):
        answer = self.get("/api/recordings/" + recording)
        assert answer.status == 200, answer
        return answer.json()

    def wait_id(self, recording, *states):
        def reached():
            doc = self.show(recording)
            return doc if doc["state"] in states else None

        return self.process.wait_for(reached, f"{recording} to be {states}")

    def order(self, recording, verb):
        answer = self.post(f"/api/recordings/{recording}/{verb}")
        assert answer.status == 200, answer
        return answer.json()


@pytest.fixture
def serve(tapedeck, livekit, tmp_path):
    """serve(**settings): a daemon."""
    started = []

    def make(**settings):
        folder = tmp_path / f"serve-{len(started)}"
        started.append(Serve(tapedeck, folder, livekit, settings))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


def test_the_life_of_a_recording(serve, publish, room):
    server = serve()
    publish(room, **SMALL)
    answer = server.send("POST", "/api/recordings",
                         {"room": room, "format": "mkv", "max_duration_s": 600})
    assert answer.status == 201, answer
    doc = answer.json()
    assert SHOWN <= doc.keys() and doc["room"] == room
    assert doc["state"] in ("waiting", "recording")
    path = "/api/recordings/" + doc["id"]
    assert answer.headers["Location"] == path
    again = server.send("POST", "/api/recordings", {"room": room})
    assert (again.status, again.json()["id"]) == (200, doc["id"])
    server.process.wait_growth(server.wait_growing(), more=200_000)
    doc = server.wait_id(doc["id"], "recording")
    output, = doc["outputs"]
    assert output["file"].endswith(".mkv") and output["bytes"] > 0
    assert server.send("DELETE", path).json()["code"] == "still_recording"

    files = {f["name"]: f for f in server.get(path + "/files").json()["files"]}
    growing = os.path.basename(output["file"])
    assert files[growing]["growing"] and files["timeline.jsonl"]["growing"]
    assert not files["manifest.json"]["growing"]
    lines = server.get(path + "/timeline")
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    events = [json.loads(line)["event"] for line in lines.body.splitlines()]
    assert "track_added" in events

    assert server.order(doc["id"], "pause")["state"] == "paused"
    assert server.order(doc["id"], "pause")["state"] == "paused"
    assert server.order(doc["id"], "resume")["state"] == "recording"
    assert server.order(doc["id"], "resume")["state"] == "recording"
    assert server.order(doc["id"], "stop")["state"] in ("finishing", "complete")
    doc = server.wait_id(doc["id"], "complete")
    assert doc["reason"] == "stopped" and doc["ended_at"]
    assert server.order(doc["id"], "stop") == doc  # of one that ended
    for verb in ("pause", "resume"):
        refused = server.post(f"{path}/{verb}")
        assert (refused.status, refused.json()["code"]) == (409, "ended")
    output, = doc["outputs"]
    name = os.path.basename(output["file"])
    assert server.get(f"{path}/files/{name}").body == open(output["file"], "rb").read()
    part = server.get(f"{path}/files/{name}", Range="bytes=0-3")
    assert (part.status, part.body) == (206, b"\x1a\x45\xdf\xa3")
    assert server.get(f"{path}/files/none.ts").status == 404
    folder = os.path.dirname(output["file"])
    assert server.send("DELETE", path).status == 204
    assert server.send("DELETE", path).status == 404
    assert server.get(path).json()["code"] == "no_such_recording"
    assert not os.path.exists(folder)


def test_changes(serve, publish, room):
    server = serve()
    publish(room, **SMALL)
    recording = server.begin(room)
    path = "/api/recordings/" + recording
    server.wait_id(recording, "recording")
    changed = server.send("PATCH", path, {"hold": True})
    assert changed.status == 200 and changed.json()["hold"] is True
    assert server.send("PATCH", path, {"colour": 1}).json()["code"] == "bad_request"
    assert server.send("PATCH", path, {"max_duration_s": 2}).status == 200
    doc = server.wait_id(recording, "complete")
    assert doc["reason"] == "duration" and doc["hold"] is True
    assert server.send("PATCH", path, {"max_duration_s": 9}).json()["code"] == "ended"
    assert server.send("PATCH", path, {"hold": False}).json()["hold"] is False
    server.restart()
    assert server.show(recording)["hold"] is False


def test_keys_make_a_call_repeatable(serve, publish, room):
    server = serve()
    publish(room, **SMALL)
    body = {"room": room, "format": "ts"}
    key = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

    def post(_=None):
        return server.send("POST", "/api/recordings", body, **key)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # the first and those that wait with it
        answers = list(pool.map(post, range(4)))
    assert {a.status for a in answers} <= {200, 201}
    recording, = {a.json()["id"] for a in answers}
    later = post()
    assert (later.status, later.json()["id"]) == (200, recording)
    other = server.send("POST", "/api/recordings", {**body, "format": "mkv"}, **key)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")
    malformed = server.send("POST", "/api/recordings", body, **{"Idempotency-Key": "a b"})
    assert (malformed.status, malformed.json()["code"]) == (400, "bad_request")
    server.wait_id(recording, "recording")
    server.order(recording, "stop")
    server.wait_id(recording, "complete")
    assert post().json()["id"] == recording  # it has ended, and is not begun again
    server.restart()
    last = post()
    assert (last.status, last.json()["id"], last.json()["state"]) == (200, recording, "complete")
    assert len(server.get("/api/recordings").json()["recordings"]) == 1
    assert server.send("DELETE", "/api/recordings/" + recording).status == 204
    assert post().json()["code"] == "no_such_recording"


def test_a_start_that_failed_keeps_no_key(serve, own_livekit, publish, room, tmp_path):
    server = serve(ws_url=f"ws://127.0.0.1:{wait.free_ports(1)[0]}")
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = server.send("POST", "/api/recordings", {"room": room}, **key)
        assert (answer.status, answer.json()["code"]) == (502, "source_refused")
        assert len(answer.json()["detail"].split()) >= 3
    assert len(server.get("/api/recordings?state=failed").json()["recordings"]) == 2


def test_another_server_with_a_token(serve, own_livekit, publish, room):
    other = own_livekit()
    server = serve()
    publish(room, server=other, **SMALL)
    recording = server.begin(room, url=other.url, token=other.token(room, "recorder"))
    server.wait_id(recording, "recording")
    assert other.url not in json.dumps(server.show(recording)["outputs"])
    server.order(recording, "stop")
    server.wait_id(recording, "complete")


def test_only_some_participants(serve, publish, room):
    server = serve()
    publish(room, "alice", **SMALL)
    publish(room, "bob", **SMALL)
    recording = server.begin(room, outputs=[{"participant": "b*", "format": "ts"}])
    doc = server.wait_id(recording, "recording")
    server.process.wait_growth(server.wait_growing(), more=100_000)
    doc = server.show(recording)
    assert [o["participant"] for o in doc["outputs"]] == ["bob"]
    refused = server.send("POST", "/api/recordings", {"room": room, "outputs": [{}, {}]})
    assert (refused.status, refused.json()["code"]) == (422, "not_possible")


def test_events(serve, publish, room):
    server = serve()
    publish(room, **SMALL)
    recording = server.begin(room)
    path = f"/api/recordings/{recording}/events"
    with sse.Stream(server.url, path) as watch:
        assert watch.status == 200 and watch.headers["Content-Type"] == "text/event-stream"
        first = watch.wait("state", id=recording)
        assert first is watch.events[0] and first.id and SHOWN <= first.data.keys()
        watch.wait("state", state="recording")
        assert watch.wait("stats").data.keys() >= {"pts_ms", "bytes", "frames", "lost"}
        server.order(recording, "pause")
        paused = watch.wait("state", state="paused")
        seen = watch.wait("timeline", event="paused")
    server.order(recording, "resume")  # while nobody watches
    last = paused if int(paused.id.split("-")[1]) > int(seen.id.split("-")[1]) else seen
    with sse.Stream(server.url, path, last=last.id) as watch:
        resumed = watch.wait("state", state="recording")
        watch.wait("timeline", event="resumed")
        assert last.id not in [e.id for e in watch.events]
        assert int(watch.events[0].id.split("-")[1]) == int(last.id.split("-")[1]) + 1
        assert resumed.id.split("-")[0] == last.id.split("-")[0]
        server.order(recording, "stop")
        watch.wait("end")
        watch.wait_end()
        assert [e for e in watch.events if e.name == "state"][-1].data["state"] == "complete"
        ids = [int(e.id.split("-")[1]) for e in watch.events if e.name in ("state", "timeline")]
        assert ids == sorted(set(ids))
    with sse.Stream(server.url, path, last="unknown-7") as watch:
        watch.wait_end()
        assert watch.names() == ["state", "end"]
    with sse.Stream(server.url, path, last="end") as watch:
        assert watch.status == 204


def test_watchers_that_leave_cost_nothing(serve, publish, room):
    server = serve()
    publish(room, **SMALL)
    recording = server.begin(room)
    server.wait_id(recording, "recording")

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = descriptors()
    for _ in range(20):
        with sse.Stream(server.url, f"/api/recordings/{recording}/events") as watch:
            watch.wait("state")
    wait.until(lambda: descriptors() <= before + 2, lambda: f"{before} again, not {descriptors()}")


def test_the_seeds_calls_word_for_word(serve, publish, room):
    server = serve()
    publish(room, **SMALL)

    def curl(*words):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", *words], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    local = f"http://localhost:{server.port}"
    started = curl("-X", "POST", f"{local}/api/recording/start/{room}")
    assert SHOWN <= started.keys() and started["room"] == room
    assert curl("-X", "POST", f"{local}/api/recording/start/{room}")["id"] == started["id"]
    server.process.wait_growth(server.wait_growing(), more=100_000)
    status = curl(f"{local}/api/recording/status/{room}")
    assert status["id"] == started["id"] and status["state"] == "recording"
    assert {"file", "bytes", "duration_ms"} <= status["outputs"][0].keys()
    assert curl("-X", "POST", f"{local}/api/recording/stop/{room}")["id"] == started["id"]
    server.wait_id(started["id"], "complete")
    assert curl(f"{local}/api/recording/status/{room}")["state"] == "complete"  # from the catalogue
    assert curl("-X", "POST", f"{local}/api/recording/stop/{room}")["state"] == "complete"


def test_keys_for_some_rooms(serve, publish, room):
    server = serve(api_keys=[{"key": "all-of-them"}, {"key": "only-other", "rooms": "other-*"}])
    publish(room, **SMALL)
    everything = {"Authorization": "Bearer all-of-them"}
    other = {"Authorization": "Bearer only-other"}
    answer = server.send("POST", "/api/recordings", {"room": room}, **other)
    assert (answer.status, answer.json()["code"]) == (403, "forbidden_room")
    answer = server.send("POST", "/api/recordings", {"room": room}, **everything)
    assert answer.status == 201, answer
    path = "/api/recordings/" + answer.json()["id"]
    for method, tail in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/stop"),
                         ("POST", "/pause"), ("POST", "/resume"), ("GET", "/timeline"),
                         ("GET", "/files"), ("GET", "/files/manifest.json"), ("GET", "/events")]:
        body = {} if method == "PATCH" else None
        assert server.send(method, path + tail, body, **other).status == 403, (method, tail)
        assert server.send(method, path + tail, body).status == 401, (method, tail)
    assert server.send("GET", "/api/recordings", **other).json()["recordings"] == []
    assert len(server.send("GET", "/api/recordings", **everything).json()["recordings"]) == 1


def test_a_page_after_the_other(serve, livekit, tapedeck):
    server = serve()
    rooms = [f"page-{n}" for n in range(7)]
    with concurrent.futures.ThreadPoolExecutor(7) as pool:
        ids = list(pool.map(server.begin, rooms))
    seen, cursor = [], ""
    for _ in range(10):
        page = server.get("/api/recordings?limit=3" + cursor).json()
        seen += [r["id"] for r in page["recordings"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert sorted(seen) == sorted(ids) and len(seen) == len(set(seen))
    listed = server.get("/api/recordings?room=page-3").json()["recordings"]
    assert [r["room"] for r in listed] == ["page-3"]
