# SPDX-License-Identifier: Apache-2.0
"""Pause and resume in one file: time stands still, the join is at a key frame, sound and picture stay
in step, and the timeline says when."""

import glob
import json
import os

import pytest

from harness import daemon, killing, media
from harness import tapedeck as deck


def timeline(server):
    path, = glob.glob(os.path.join(server.data, "recordings", "*", "timeline.jsonl"))
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def grown(server, more):
    server.process.wait_growth(server.wait_growing(), more=more)


@pytest.mark.parametrize("codec, extension", [("h264", "ts"), ("vp8", "mkv")])
def test_time_stands_still(tapedeck, tmp_path, codec, extension, record_property):
    server = daemon.Serve(tapedeck, tmp_path / "data")
    sender = daemon.Publish(tapedeck, "--whip", server.url + "/whip/room", "--video", codec,
                            *killing.SMALL)
    sender.wait_sending()
    grown(server, 300_000)
    recording = server.wait_state("room", "recording")["id"]
    pause = f"/api/recordings/{recording}/pause"
    resume = f"/api/recordings/{recording}/resume"
    # Not within a beep: it would run into the next one, which begins at the join.
    server.process.wait_for(lambda: 300 <= server.wait_state("room", "recording")["pts_ms"] % 1000
                            <= 450, "the silence between two beeps")
    for _ in range(2):  # idempotent
        assert server.post(pause).status == 200
    assert server.wait_state("room", "paused")["id"] == recording
    path = server.wait_growing()
    size = os.path.getsize(path)
    sender.wait(lambda: len(sender.events) > 0 and sent_more(sender, 2.0), "two more seconds")
    assert os.path.getsize(path) - size < 100_000, "it grows while it is paused"
    for _ in range(2):
        assert server.post(resume).status == 200
    server.wait_state("room", "recording")
    grown(server, 300_000)
    assert sender.stop() == deck.DONE
    status = server.wait_state("room", "complete")
    server.process.interrupt()

    path, = server.finished_files()
    assert path.endswith(extension)
    media.assert_decodes(path)
    events = {line["event"]: line for line in timeline(server) if line["event"] in
              ("paused", "resumed")}
    paused, resumed = events["paused"], events["resumed"]
    assert 0 <= resumed["pts_ms"] - paused["pts_ms"] < 50 and resumed["paused_ms"] >= 1000
    pictures = media.packets(path, "video")
    begin = min(time for kind in ("video", "audio") for time, _ in media.packets(path, kind))
    join = begin + resumed["pts_ms"] / 1000
    near = [time for time, key in pictures if key and abs(time - join) < 0.025]
    assert near, f"the join at {join} is not at a key frame: {pictures}"
    gaps = [b[0] - a[0] for a, b in zip(pictures, pictures[1:])]
    assert max(gaps) < 0.15, f"time ran while it was paused: {max(gaps)}"
    seen, code = killing.verify(tapedeck, path)
    assert code == deck.DONE and not seen["damaged"] and not seen["decode_errors"], seen
    # The pattern flashes and beeps at each of its key frames. (`verify` wants beeps further apart
    # than those around a join can be.)
    flashes = [time for time, key in pictures if key]
    beeps = media.beep_times(path)
    apart = [min(abs(beep - flash) for flash in flashes) for beep in beeps]
    assert len(beeps) >= 5 and max(apart) <= 0.02, (beeps, flashes)
    record_property("sound and picture apart around a pause, ms", round(float(max(apart)) * 1000, 1))
    assert abs(status["pts_ms"] / 1000 - media.duration_s(path)) < 0.5


def sent_more(sender, seconds):
    if not hasattr(sender, "mark"):
        sender.mark = sender.events[-1].get("media_s") or sender.events[-1].get("frames", 0)
    now = sender.events[-1].get("media_s") or sender.events[-1].get("frames", 0)
    return now - sender.mark >= seconds * (1 if "media_s" in sender.events[-1] else sender.fps)


def test_what_cannot_be_paused(tapedeck, tmp_path):
    server = daemon.Serve(tapedeck, tmp_path / "data")
    sender = daemon.Publish(tapedeck, "--whip", server.url + "/whip/room", *killing.SMALL)
    sender.wait_sending()
    grown(server, 50_000)
    recording = server.wait_state("room", "recording")["id"]
    assert server.post(f"/api/recordings/{recording}/pause").status == 200
    assert sender.stop() == deck.DONE
    server.wait_state("room", "complete")
    for verb in ("pause", "resume"):
        answer = server.post(f"/api/recordings/{recording}/{verb}")
        assert answer.status == 409 and answer.json()["code"] == "ended"
    assert server.post("/api/recordings/rec_nobody/pause").status == 404
    server.process.interrupt()
