# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random instants, and what each cost: measured by the numbers in the pictures.

`tapedeck publish` counts its frames from one anchor in time, so the number of the frame that was due
at the kill is known; the last number in the file says what is missing. A frame that was due just
then counts as sent, so the figures are upper bounds."""

import os
import random
import shutil
import statistics
import subprocess
import time

from harness import daemon, wait
from harness import tapedeck as deck

LOOP_S = 10  # of publish's pattern, whose counter starts again
SMALL = ("--size", "640x360", "--bitrate", "800000")
FORMATS = ("ts", "mkv")


def verify(tapedeck, path):
    """The JSON of `verify --decode`, and its exit code."""
    result = tapedeck.run("verify", "--decode", "--json", path)
    lines = result.json_lines()
    assert lines, f"verify says nothing\n{result}"
    return lines[0], result.code


def readable(path):
    """ffprobe sees streams, whatever lies at the end."""
    done = subprocess.run(["ffprobe", "-v", "fatal", "-show_entries", "stream=codec_name", "-of",
                           "csv=p=0", path], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "opus" in done.stdout and \
        ("h264" in done.stdout or "vp8" in done.stdout)


def lost_ms(publish, killed_s, seen):
    """(pictures, sound): milliseconds that were due before the kill and are not in the file."""
    fps = publish.fps
    loop = LOOP_S * fps
    sent = publish.sent_by(killed_s)
    behind = (sent - seen["pattern"]["counter_last"]) % loop
    behind = behind - loop if behind > loop // 2 else behind
    last_media_s = (sent - behind) / fps
    audio = next(t for t in seen["tracks"] if t["codec"].lower() == "opus")
    sound_s = last_media_s + audio["end_s"] - seen["pattern"]["counter_last_s"]
    return (max(0.0, behind * 1000 / fps),
            max(0.0, (publish.media_s(killed_s) - sound_s) * 1000))


def faults(seen, code):
    """What a recovered file must not have."""
    found = [f"{name}={seen['pattern'][name]}" for name in
             ("missing", "damaged", "duplicated", "reordered") if seen["pattern"][name]]
    if code != deck.DONE or seen["damaged"] or seen["decode_errors"]:
        found.append(f"verify={code} damaged={seen['damaged']} errors={seen['decode_errors']}")
    return found


def look(tapedeck, publish, killed_s, path, run, name):
    seen, code = verify(tapedeck, path)
    pictures, sound = lost_ms(publish, killed_s, seen)
    run[name] = {"pictures_lost_ms": round(pictures, 1), "sound_lost_ms": round(sound, 1),
                 "duration_s": round(seen["duration_s"], 3), "frames": seen["pattern"]["frames"],
                 "torn_bytes": seen["bytes"] - seen["valid_bytes"]}
    return seen, code


def copy_of(path, folder):
    """A copy of a growing file, as another machine would see it: nothing of its pool is there."""
    os.makedirs(folder, exist_ok=True)
    copy = os.path.join(folder, os.path.basename(path))
    shutil.copyfile(path, copy)
    return copy


class ByServe:
    """The daemon, fed by WHIP: its restart finishes the file, and its publisher comes back."""

    def __init__(self, tapedeck, folder):
        tapedeck.env["TAPEDECK_RESUME"] = "false"
        self.tapedeck, self.data = tapedeck, os.path.join(folder, "data")
        self.serve = None
        self.publish = None

    def start(self, extension):
        if self.serve is None:
            self.serve = daemon.Serve(self.tapedeck, self.data, "--format", extension)
            self.publish = daemon.Publish(self.tapedeck, "--whip", self.serve.url + "/whip/torture",
                                          *SMALL)
            self.publish.wait_sending()
        elif not self.serve.process.alive():
            self.serve.start("--format", extension)
        return self.serve.wait_growing()

    def kill(self):
        self.serve.process.kill()

    def recover(self, path, extension):
        """By the restart, which then records the next one."""
        self.serve.start("--format", extension)
        self.serve.process.wait_for(lambda: self.serve.get("/readyz").status == 200,
                                    "the recovery to be finished")

    def stop(self):
        if self.publish is not None:
            self.publish.stop()
        if self.serve is not None and self.serve.process.alive():
            self.serve.process.interrupt()


class ByRecord:
    """`tapedeck record` in a LiveKit room; `tapedeck recover` afterwards."""

    ROOM = "torture"

    def __init__(self, tapedeck, folder):
        from harness.livekit import KEY, SECRET
        self.tapedeck, self.folder, self.number = tapedeck, folder, 0
        self.recording = None
        self.publish = daemon.Publish(tapedeck, "--url", tapedeck.livekit.url, "--api-key", KEY,
                                      "--api-secret", SECRET, "--room", self.ROOM, *SMALL)
        self.publish.wait_sending()

    def start(self, extension):
        self.number += 1
        path = os.path.join(self.folder, f"{self.number:03}.{extension}")
        self.recording = self.tapedeck.record(self.ROOM, path)
        live = deck.growing(path)
        self.recording.wait_for(lambda: deck.size_of(live) > 0, f"{live} to grow")
        return live

    def kill(self):
        self.recording.kill()

    def recover(self, path, extension):
        result = self.tapedeck.run("recover", path)
        assert result.code == deck.DONE, result

    def stop(self):
        self.publish.stop()


def one_kill(kind, tapedeck, folder, extension, next_extension, wait_s):
    """Records, kills after `wait_s`, measures; the run's figures."""
    path = kind.start(extension)
    extension = os.path.splitext(path)[1][1:]
    end = time.monotonic() + wait_s
    wait.until(lambda: time.monotonic() >= end, "the instant of the kill", wait_s + 5, 0.002)
    killed_s = time.time()
    kind.kill()
    run = {"format": extension, "after_s": round(wait_s, 3)}
    copy = copy_of(path, os.path.join(folder, "as-it-lies"))
    run["ffprobe_reads"] = readable(copy)
    look(tapedeck, kind.publish, killed_s, copy, run, "as_it_lies")
    os.unlink(copy)
    kind.recover(path, next_extension)
    final = path.replace(".recording.", ".")
    run["named"] = os.path.exists(final) and not os.path.exists(path)
    seen, code = look(tapedeck, kind.publish, killed_s, final, run, "recovered")
    run["faults"] = faults(seen, code)
    os.unlink(final)
    return run


def torture(kind, tapedeck, folder, kills, seed, each=lambda run: None, shortest_s=1.5,
            longest_s=6.0):
    """A list of runs, the formats taking turns."""
    chance = random.Random(seed)
    runs = []
    try:
        for i in range(kills):
            runs.append(one_kill(kind, tapedeck, folder, FORMATS[i % 2], FORMATS[(i + 1) % 2],
                                 chance.uniform(shortest_s, longest_s)))
            each(runs[-1])
    finally:
        kind.stop()
    return runs


def summary(runs, state, name):
    values = sorted(run[state][name] for run in runs)
    return {"median": round(statistics.median(values), 1),
            "p95": values[min(len(values) - 1, int(len(values) * 0.95))], "max": values[-1]}
