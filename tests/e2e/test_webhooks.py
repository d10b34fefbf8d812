# SPDX-License-Identifier: Apache-2.0
"""Webhooks: what the daemon tells others, heard by LiveKit's own receiver, and what a real
livekit-server tells the daemon, which then records by its rules."""

import base64
import hashlib
import json
import os
import time

import pytest
from livekit import api

from harness import daemon, killing, receiver, wait
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

# How long a receiver is down at least: 60 is what an operator would call down.
DOWN_S = float(os.environ.get("TAPEDECK_DOWN_S", "0"))
EVENTS = ("egress_started", "egress_updated", "egress_ended")


class Serve(daemon.Serve):
    """A daemon with a configuration file, on a port that is known before it starts."""

    def __init__(self, tapedeck, folder, settings, port=0):
        folder.mkdir()
        self.config = folder / "tapedeck.yaml"
        self.deck, self.data, self.port = tapedeck, str(folder / "data"), port
        self.configure(settings)
        self.process = None
        self.start("-c", self.config)

    def configure(self, settings):
        self.config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML

    def restart(self):
        self.start("-c", self.config)

    def recordings(self, room):
        return self.get("/api/recordings?room=" + room).json()["recordings"]

    def order(self, recording, verb):
        answer = self.post(f"/api/recordings/{recording}/{verb}")
        assert answer.status == 200, answer
        return answer.json()

    def wait_room(self, room, *states):
        """The room's newest recording, once there is one in one of `states`."""
        def found():
            newest = next(iter(self.recordings(room)), None)
            return newest if newest and newest["state"] in states else None

        return self.process.wait_for(found, lambda: f"{room} to be {states}")


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(settings, port=0): a daemon with these settings over a key that signs."""
    started = []

    def make(settings, port=0):
        folder = tmp_path / f"serve-{len(started)}"
        settings = {"api_key": KEY, "api_secret": SECRET, **settings}
        started.append(Serve(tapedeck, folder, settings, port))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


@pytest.fixture
def receive():
    """receive(): somebody who is not up yet. All that came must have been verified in the end."""
    started = []

    def make(**options):
        started.append(receiver.Receiver(**options))
        return started[-1]

    yield make
    for one in started:
        one.down()
        assert not one.refused, one.refused


@pytest.fixture
def send(tapedeck):
    """send(url, *options): a running `tapedeck publish --whip`."""
    started = []

    def make(url, *options):
        started.append(daemon.Publish(tapedeck, "--whip", url, *killing.SMALL, *options))
        return started[-1]

    yield make
    for one in started:
        one.stop()


def steps(letters):
    return [letter.state for letter in letters]


def check_order(letters):
    """As one recording tells them: told to have started first, ended last, time never going back."""
    names = [letter.event.event for letter in letters]
    assert names[0] == "egress_started" and names[-1] == "egress_ended", letters
    assert set(names[1:-1]) <= {"egress_updated"}, letters
    times = [letter.event.egress_info.updated_at for letter in letters]
    assert times == sorted(times) and len(set(letter.event.id for letter in letters)) == len(times)


def record_shortly(server, send, room, pauses=1):
    """A WHIP recording from its start to its end; its id."""
    publisher = send(server.url + "/whip/" + room)
    publisher.wait_sending()
    recording = server.wait_room(room, "recording")["id"]
    server.process.wait_growth(server.wait_growing(), more=50_000)
    for _ in range(pauses):
        server.order(recording, "pause")
        server.wait_room(room, "paused")
        server.order(recording, "resume")
        server.wait_room(room, "recording")
    server.order(recording, "stop")
    server.wait_room(room, "complete")
    publisher.stop()
    return recording


def test_livekits_receiver_hears_a_whole_life(serve, send, receive):
    ears = receive().up()
    server = serve({"webhooks": [{"url": ears.url()}]})
    recording = record_shortly(server, send, "room")
    letters = ears.wait_end(recording)
    check_order(letters)
    told = [s for s in steps(letters) if s != "waiting"]
    assert told == ["recording", "paused", "recording", "finishing", "complete"], letters
    info = letters[-1].event.egress_info
    assert (info.status, info.room_name, info.error) == (api.EgressStatus.EGRESS_COMPLETE, "room",
                                                         "")
    assert 0 < info.started_at < info.ended_at <= info.updated_at
    shown = server.get("/api/recordings/" + recording).json()
    assert letters[-1].body["recording"] == shown
    file, = info.file_results
    path, = server.finished_files()
    assert os.path.samefile(file.filename, path) and file.size == os.path.getsize(path)
    assert file.duration == shown["outputs"][0]["duration_ms"] * 1_000_000
    assert abs(letters[-1].event.created_at - time.time()) < 60


def test_a_receiver_that_is_down(serve, send, receive):
    """All comes in the end, in order, and one that is up does not wait for it."""
    late, early = receive(), receive().up()
    server = serve({"webhooks": [{"url": late.url()}, {"url": early.url()}]})
    down = time.monotonic() + DOWN_S
    recordings = [record_shortly(server, send, room, pauses=2) for room in ("one", "two")]
    heard = {recording: early.wait_end(recording) for recording in recordings}
    assert not late.letters
    wait.until(lambda: time.monotonic() >= down, "the time to be down", DOWN_S + 1)
    late.up()
    for recording in recordings:
        letters = late.wait_end(recording, seconds=60 + 2 * DOWN_S)
        check_order(letters)
        assert [x.event.id for x in letters] == [x.event.id for x in heard[recording]]
        assert steps(letters) == steps(heard[recording])


def test_a_receiver_that_fails_hears_each_letter_again(serve, send, receive):
    ears = receive().up()
    ears.statuses = [500, 302]
    server = serve({"webhooks": [{"url": ears.url()}]})
    recording = record_shortly(server, send, "room")
    check_order(ears.wait_end(recording))
    assert not ears.statuses


def test_killed_while_letters_wait(serve, send, receive):
    ears = receive()
    server = serve({"webhooks": [{"url": ears.url()}], "limits": {"resume_window_s": 30}})
    publisher = send(server.url + "/whip/room")
    publisher.wait_sending()
    recording = server.wait_room("room", "recording")["id"]
    server.process.wait_growth(server.wait_growing(), more=100_000)
    server.process.kill()
    ears.up()
    server.restart()
    # The publisher comes back by itself, and the recording goes on under its id.
    resumed = server.wait_room("room", "recording")
    assert resumed["id"] == recording and resumed["interruptions"], resumed
    server.order(recording, "stop")
    server.wait_room("room", "complete")
    letters = ears.wait_end(recording)
    check_order(letters)
    told = steps(letters)
    assert "interrupted" in told and told.index("recording") < told.index("interrupted"), told
    assert told[-3:] == ["recording", "finishing", "complete"], told


def test_letters_of_an_ended_recording_survive_a_kill(serve, send, receive):
    ears = receive()
    server = serve({"webhooks": [{"url": ears.url()}]})
    recording = record_shortly(server, send, "room")
    server.process.kill()
    ears.up()
    server.restart()
    letters = ears.wait_end(recording)
    check_order(letters)
    assert steps(letters)[-1] == "complete"


def test_recovery_tells_of_an_end_too(serve, send, receive):
    """A recording that does not go on ends at the next start, and that is told like any other."""
    ears = receive().up()
    server = serve({"webhooks": [{"url": ears.url()}], "resume": False})
    publisher = send(server.url + "/whip/room")
    publisher.wait_sending()
    recording = server.wait_room("room", "recording")["id"]
    server.process.wait_growth(server.wait_growing(), more=100_000)
    server.process.kill()
    publisher.stop()
    server.restart()
    letters = ears.wait_end(recording)
    check_order(letters)
    assert letters[-1].event.egress_info.status == api.EgressStatus.EGRESS_COMPLETE, letters
    assert letters[-1].body["recording"]["outputs"], letters


def test_who_hears_of_which_room(serve, send, receive):
    ears, stranger = receive().up(), receive(key="other", secret="x" * 40).up()
    server = serve({"webhooks": [
        {"url": ears.url("/all")},
        {"url": ears.url("/class"), "rooms": "class-*"},
        {"url": stranger.url(), "rooms": "talk", "api_key": "other", "api_secret": "x" * 40}]})
    lesson = record_shortly(server, send, "class-1", pauses=0)
    talk = record_shortly(server, send, "talk", pauses=0)
    check_order(ears.wait_end(lesson, "/all"))
    check_order(ears.wait_end(lesson, "/class"))
    check_order(ears.wait_end(talk, "/all"))
    check_order(stranger.wait_end(talk))
    assert not ears.of(talk, "/class") and not stranger.of(lesson)


def test_what_was_given_up_is_replayed(serve, send, receive):
    ears = receive().up()
    server = serve({"webhooks": [{"url": ears.url()}]})
    ears.statuses = [410] * 20
    recording = record_shortly(server, send, "room", pauses=0)
    letters = server.process.wait_for(lambda: _waiting(server) == 0 and 20 - len(ears.statuses),
                                      "all to be given up")
    ears.statuses = []
    assert not ears.letters
    answer = server.post("/api/webhooks/replay", json.dumps({"recording": recording}).encode(),
                         **{"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (200, {"replayed": letters}), answer
    check_order(ears.wait_end(recording))
    assert len(ears.of(recording)) == letters
    assert server.post("/api/webhooks/replay").json() == {"replayed": 0}
    for body in (b"[]", b'{"recording": 7}', b'{"delivered": "yes"}', b'{"room": "x"}', b"{"):
        answer = server.post("/api/webhooks/replay", body, **{"Content-Type": "application/json"})
        assert answer.status == 400, (body, answer)


def _waiting(server):
    """The daemon's own count of letters that wait."""
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("tapedeck_webhook_pending "):
            return float(line.split()[1])
    raise AssertionError("tapedeck_webhook_pending is not there")


# ---- a LiveKit server tells the daemon ----


@pytest.fixture
def hooked(serve, own_livekit):
    """hooked(rules, **settings): a daemon and a livekit-server that tells it what happens."""
    def make(rules, **settings):
        port, = wait.free_ports(1)
        url = f"http://127.0.0.1:{port}/livekit/webhook"
        server = own_livekit(webhook={"api_key": KEY, "urls": [url]},
                             room={"auto_create": True, "empty_timeout": 1,
                                   "departure_timeout": 1})
        return serve({"ws_url": server.url, "auto_record": rules, **settings}, port), server

    return make


def test_a_publisher_joins_and_is_recorded(hooked, publish, receive):
    ears = receive().up()
    server, livekit = hooked([{"room": "class-*", "format": "mkv"}],
                             webhooks=[{"url": ears.url()}])
    publish("other", identity="eve", server=livekit, width=320, height=240, kbps=300)
    anna = publish("class-1", identity="anna", server=livekit, width=320, height=240, kbps=300)
    recording = server.wait_room("class-1", "recording")
    live = server.wait_growing()
    assert live.endswith(".mkv")
    server.process.wait_growth(live, more=50_000)
    anna.order("stop")
    server.wait_room("class-1", "complete")
    assert len(server.recordings("class-1")) == 1 and not server.recordings("other")
    letters = ears.wait_end(recording["id"])
    check_order(letters)
    info = letters[-1].event.egress_info
    assert info.room_name == "class-1" and info.room_id.startswith("RM_"), info


def test_only_the_wanted_participant_starts_it(hooked, publish):
    server, livekit = hooked([{"room": "*", "participant": "teacher-*"}])
    small = {"server": livekit, "width": 320, "height": 240, "kbps": 300}
    publish("school", identity="pupil", **small)
    publish("school", identity="teacher-1", **small)
    server.wait_room("school", "recording")
    live = server.wait_growing()
    assert os.path.basename(live).startswith("teacher-1."), live
    server.process.wait_growth(live, more=50_000)
    assert [os.path.basename(p).split(".")[0] for p in server.growing_files()] == ["teacher-1"]


def test_what_was_stopped_is_not_started_again(hooked, publish):
    """Not by a track of the same room, nor after a restart; another room of that name is recorded."""
    server, livekit = hooked([{"room": "*"}])
    small = {"server": livekit, "width": 320, "height": 240, "kbps": 300}
    publish("talk", identity="anna", **small)
    first = server.wait_room("talk", "recording")
    server.process.wait_growth(server.wait_growing(), more=20_000)
    server.order(first["id"], "stop")
    server.wait_room("talk", "complete")
    publish("talk", identity="bob", **small)
    publish("fence-1", identity="carl", **small)  # told of after bob
    server.wait_room("fence-1", "recording")
    assert [r["id"] for r in server.recordings("talk")] == [first["id"]]
    server.process.kill()
    server.restart()
    publish("talk", identity="dora", **small)
    publish("fence-2", identity="emil", **small)
    server.wait_room("fence-2", "recording")
    assert [r["id"] for r in server.recordings("talk")] == [first["id"]]
    livekit.delete_room("talk")
    publish("talk", identity="fred", **small)
    second = server.wait_room("talk", "recording")
    assert second["id"] != first["id"] and second["room_sid"] != first["room_sid"]


def test_a_room_that_comes_back_at_once(hooked, publish):
    """The recording of the old room is still ending when the new one is told of."""
    server, livekit = hooked([{"room": "*"}])
    small = {"server": livekit, "width": 320, "height": 240, "kbps": 300}
    publish("standup", identity="anna", **small)
    first = server.wait_room("standup", "recording")
    livekit.delete_room("standup")
    publish("standup", identity="bob", **small)

    def goes_on():
        newest = server.recordings("standup")[0]
        return newest if newest["id"] != first["id"] and newest["state"] == "recording" else None

    second = server.process.wait_for(goes_on, "the new room to be recorded")
    assert second["room_sid"] != first["room_sid"]
    ended = server.get("/api/recordings/" + first["id"]).json()
    assert ended["state"] == "complete", ended


def test_our_own_recorder_starts_nothing(hooked):
    """It joins an empty room, which LiveKit makes for it and tells of."""
    server, livekit = hooked([{"room": "*"}])
    started = server.post("/api/recording/start/empty")
    assert started.status == 201, started
    server.order(started.json()["id"], "stop")
    server.wait_room("empty", "aborted")
    wait.until(lambda: "empty" not in livekit.rooms(), "the room to be over", 60)
    recorded = server.recordings("empty")
    assert [r["id"] for r in recorded] == [started.json()["id"]], recorded


def signed(body, key=KEY, secret=SECRET):
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Authorization": api.AccessToken(key, secret).with_sha256(digest).to_jwt(),
            "Content-Type": "application/webhook+json"}


def test_only_livekit_is_believed(hooked):
    server, _ = hooked([{"room": "*"}], api_keys=[{"key": "our-own-api-key-for-callers"}])
    event = {"event": "room_started", "room": {"sid": "RM_1", "name": "made-up"}, "id": "EV_1",
             "createdAt": str(int(time.time()))}
    body = json.dumps(event).encode()
    path = "/livekit/webhook"
    key = {"Authorization": "Bearer our-own-api-key-for-callers"}
    for headers in ({}, key, signed(body, key="stranger"), signed(body, secret="x" * 40),
                    signed(body + b" ")):
        answer = server.post(path, body, **headers)
        assert (answer.status, answer.json()["code"]) == (401, "bad_signature"), (headers, answer)
    answer = server.post(path, b"{", **signed(b"{"))
    assert (answer.status, answer.json()["code"]) == (400, "bad_event"), answer
    old = json.dumps({**event, "id": "EV_0", "createdAt": str(int(time.time()) - 600)}).encode()
    assert server.post(path, old, **signed(old)).status == 200
    assert daemon.call("GET", server.url + path, headers=key).status == 405
    shown = daemon.call("GET", server.url + "/api/recordings", headers=key).json()
    assert not shown["recordings"]
    assert server.post(path, body, **signed(body)).status == 200
    server.process.wait_for(
        lambda: daemon.call("GET", server.url + "/api/recordings?room=made-up",
                            headers=key).json()["recordings"], "the signed one to be believed")
