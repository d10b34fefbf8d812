# SPDX-License-Identifier: Apache-2.0
"""A recording that goes on: after kill -9, after a publisher that was gone, after a restart that left
it; and what becomes of it when nobody comes back."""

import glob
import json
import os
import time

import pytest

from harness import daemon, killing, media, wait
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

# The long form is `TAPEDECK_KILLS=20 pytest tests/e2e/test_resume.py`.
KILLS = int(os.environ.get("TAPEDECK_KILLS", "3"))
BACK_S = 3.0  # design, section 1: the hole of a restart


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(*options): a daemon; ends in order."""
    started = []

    def make(*options):
        data = tmp_path / f"data-{len(started)}"
        started.append(daemon.Serve(tapedeck, data, *options))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


def livekit_options(server):
    return ("--url", server.url, "--api-key", KEY, "--api-secret", SECRET)


def the_folder(server):
    folder, = glob.glob(os.path.join(server.data, "recordings", "*"))
    return folder


def timeline(server):
    with open(os.path.join(the_folder(server), "timeline.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def manifest(server):
    with open(os.path.join(the_folder(server), "manifest.json"), encoding="utf-8") as f:
        return json.load(f)


def assert_agree(server, status):
    """Manifest, API and files tell the same."""
    on_disk = manifest(server)
    assert (on_disk["id"], on_disk["state"], on_disk["reason"]) == \
        (status["id"], status["state"], status["reason"])
    named = sorted(part["file"] for output in on_disk["outputs"] for part in output["parts"])
    assert named == sorted(output["name"] for output in status["outputs"])
    there = sorted(os.path.basename(p) for p in glob.glob(os.path.join(the_folder(server), "*"))
                   if p.endswith((".ts", ".mkv")))
    assert there == named
    for output in status["outputs"]:
        assert output["bytes"] == os.path.getsize(os.path.join(the_folder(server), output["name"]))


def kill_and_return(server, *options):
    """Seconds from the start of the new process to the next stored media, and the whole hole."""
    server.process.kill()
    began = time.monotonic()
    server.start(*options)
    before = next(iter(server.get("/api/recordings").json()["recordings"]))["id"]
    state = server.wait_state(server.room, "recording")
    assert state["id"] == before
    return time.monotonic() - began


def killed_often(server, options, kills, more=150_000):
    back = []
    for _ in range(kills):
        path = server.wait_growing()
        server.process.wait_growth(path, more=more)
        back.append(kill_and_return(server, *options))
    server.process.wait_growth(server.wait_growing(), more=more)
    return back


def check_holes(server, status, kills):
    holes = status["interruptions"]
    assert len(holes) == kills, holes
    assert all(0 < hole["hole_ms"] < BACK_S * 1000 for hole in holes), holes
    events = [line["event"] for line in timeline(server)]
    assert events.count("interrupted") == kills and events.count("recovered") == kills, events


@pytest.mark.parametrize("codec, extension", [("H264", "ts"), ("VP8", "mkv")])
def test_killed_in_a_room(publish, livekit, serve, tapedeck, room, codec, extension,
                          record_property):
    publish(room, codec=codec, width=640, height=360, kbps=800)
    options = livekit_options(livekit)
    server = serve(*options)
    server.room = room
    assert server.post("/api/recording/start/" + room).status == 201
    back = killed_often(server, options, KILLS)
    record_property("recording again after a restart, s", [round(b, 2) for b in back])
    assert server.post("/api/recording/stop/" + room).status == 200
    status = server.wait_state(room, "complete")
    assert len(server.get("/api/recordings").json()["recordings"]) == 1
    check_holes(server, status, KILLS)
    assert_agree(server, status)
    parts = [o["file"] for o in status["outputs"]]
    assert len(parts) == (1 if extension == "ts" else KILLS + 1)
    for path in parts:
        seen, code = killing.verify(tapedeck, path)
        assert code == deck.DONE and not seen["damaged"] and not seen["decode_errors"], seen
        assert media.codecs(path) == {"video": codec.lower(), "audio": "opus"}


def whip(tapedeck, server, *more):
    sender = daemon.Publish(tapedeck, "--whip", f"{server.url}/whip/{server.room}", *killing.SMALL,
                            *more)
    sender.wait_sending()
    return sender


@pytest.mark.parametrize("codec, extension", [("h264", "ts"), ("vp8", "mkv")])
def test_killed_under_whip(serve, tapedeck, room, codec, extension, record_property):
    server = serve()
    server.room = room
    sender = whip(tapedeck, server, "--video", codec)
    back = killed_often(server, (), KILLS)
    record_property("recording again after a restart, s", [round(b, 2) for b in back])
    assert sender.stop() == deck.DONE
    status = server.wait_state(room, "complete")
    assert len(server.get("/api/recordings").json()["recordings"]) == 1
    check_holes(server, status, KILLS)
    assert_agree(server, status)
    parts = [o["file"] for o in status["outputs"]]
    assert len(parts) == (1 if extension == "ts" else KILLS + 1)
    for path in parts:
        media.assert_decodes(path)


def test_nobody_comes_back(serve, tapedeck, room, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("limits: {resume_window_s: 2}\n")
    server = serve("-c", settings)
    server.room = room
    sender = whip(tapedeck, server)
    server.process.wait_growth(server.wait_growing(), more=100_000)
    sender.process.kill()  # it cannot say goodbye
    server.process.kill()
    server.start("-c", settings)
    server.process.wait_for(lambda: server.wait_state(room, "interrupted")["interruptions"],
                            "the hole to be noted")
    status = server.wait_state(room, "complete")
    assert status["reason"] == "interrupted"
    assert [hole["hole_ms"] for hole in status["interruptions"]] == [None]
    assert_agree(server, status)
    media.assert_decodes(server.finished_files()[0])


def test_a_lost_catalogue_is_made_again(serve, tapedeck, room):
    server = serve()
    server.room = room
    sender = whip(tapedeck, server)
    server.process.wait_growth(server.wait_growing(), more=100_000)
    first = server.wait_state(room, "recording")["id"]
    server.process.kill()
    for path in glob.glob(os.path.join(server.data, "catalog.db*")):
        os.unlink(path)
    server.start()
    again = server.wait_state(room, "recording")
    assert again["id"] == first and len(again["interruptions"]) == 1
    assert sender.stop() == deck.DONE
    assert_agree(server, server.wait_state(room, "complete"))


def test_left_for_the_next_start(serve, tapedeck, room, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("on_shutdown: interrupt\n")
    server = serve("-c", settings)
    server.room = room
    sender = whip(tapedeck, server)
    server.process.wait_growth(server.wait_growing(), more=100_000)
    first = server.wait_state(room, "recording")["id"]
    assert server.process.interrupt().code == deck.DONE
    assert server.growing_files() and not server.finished_files()
    assert manifest(server)["state"] == "interrupted"
    server.start("-c", settings)
    assert server.wait_state(room, "recording")["id"] == first
    assert sender.stop() == deck.DONE
    status = server.wait_state(room, "complete")
    assert len(status["interruptions"]) == 1
    assert_agree(server, status)
    media.assert_decodes(server.finished_files()[0])


def test_a_publisher_that_was_cut_off(serve, tapedeck, room):
    """The daemon lives on; another process shows up where the first one died."""
    server = serve()
    server.room = room
    sender = whip(tapedeck, server)
    server.process.wait_growth(server.wait_growing(), more=100_000)
    first = server.wait_state(room, "recording")["id"]
    sender.process.kill()
    server.wait_state(room, "interrupted", seconds=60)
    sender = whip(tapedeck, server)
    assert server.wait_state(room, "recording")["id"] == first
    assert sender.stop() == deck.DONE
    status = server.wait_state(room, "complete")
    assert len(status["interruptions"]) == 1 and len(status["outputs"]) == 1
    assert_agree(server, status)


def test_a_recording_that_kills_the_daemon_is_set_aside(serve, tapedeck, room):
    """Three starts that die over it; the fourth leaves it alone, and its files too."""
    server = serve()
    server.room = room
    sender = whip(tapedeck, server)
    path = server.wait_growing()
    server.process.wait_growth(path, more=100_000)
    server.process.kill()
    sender.process.kill()
    os.truncate(path, 1 << 42)  # reading that takes longer than any start of this test lives
    for _ in range(3):
        server.start()
        server.wait_state(room, "recording", "interrupted")
        wait.until(lambda: attempts(server) > _, "the attempt to be noted")
        server.process.kill()
    server.start()
    status = server.wait_state(room, "failed")
    assert status["reason"] == "crashed_recovery"
    assert os.path.getsize(path) == 1 << 42
    assert server.get("/readyz").status == 200


def attempts(server):
    import sqlite3
    with sqlite3.connect(f"file:{server.data}/catalog.db?mode=ro", uri=True) as db:
        return db.execute("SELECT max(attempts) FROM recordings").fetchone()[0]
