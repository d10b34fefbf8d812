# SPDX-License-Identifier: Apache-2.0
"""Many recordings started at once through the API, each in a room with a light publisher."""

import concurrent.futures
import datetime
import glob
import json
import os
import re
import threading
import time

from harness import daemon, wait
from harness.livekit import KEY, SECRET

LIGHT = ("--video", "h264", "--size", "160x96", "--fps", "10", "--bitrate", "64000",
         "--key-interval", "500ms", "--loop-seconds", "2")
LIMIT_MS = 2000
MARGIN_S = 30
MOMENT = re.compile(r'^(\S+Z) .* room="(\S+)" event=(?:state state=)?(\S+)', re.MULTILINE)


def settings(folder, livekit):
    path = os.path.join(folder, "settings.yaml")
    with open(path, "w", encoding="utf-8") as f:  # JSON is YAML
        json.dump({"ws_url": livekit.url, "api_key": KEY, "api_secret": SECRET}, f)
    return path


def publishers(tapedeck, livekit, folder, rooms):
    """One for each room, all sending."""
    def make(room):
        return daemon.Publish(tapedeck, "--url", livekit.url, "--api-key", KEY, "--api-secret",
                              SECRET, "--room", room, "--pattern-cache",
                              os.path.join(folder, "pattern"), *LIGHT)

    senders = [make(rooms[0])]
    senders[0].wait_sending()  # it has made the pattern
    senders += [make(room) for room in rooms[1:]]
    for sender in senders:
        sender.wait_sending(90)
    return senders


class FirstBytes:
    """When each room's file got its first byte: found by looking again and again."""

    def __init__(self, data, rooms):
        self.data, self.missing, self.at = data, set(rooms), {}
        self.over = False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while self.missing and not self.over:
            for room in list(self.missing):
                for path in glob.glob(os.path.join(self.data, "live", room + ".*")):
                    if os.path.exists(path) and os.path.getsize(path) > 0:
                        self.at[room] = time.monotonic()
                        self.missing.discard(room)
            time.sleep(0.01)

    def wait(self, seconds):
        self.thread.join(seconds)
        self.over = True
        assert not self.missing, f"no byte of {sorted(self.missing)} after {seconds} s"


def moments(log, since_s):
    """{state or event: {room: ms since the starts}}, by the daemon's log."""
    found = {}
    for stamp, room, name in MOMENT.findall(log):
        at = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        if at >= since_s - 0.001:
            found.setdefault(name, {}).setdefault(room, (at - since_s) * 1000)
    return found


def start_all(server, rooms):
    """(answer in ms, first byte in ms by room, what the log says of the time between)."""
    ready = threading.Barrier(len(rooms) + 1)

    def start(room):
        ready.wait()
        began = time.monotonic()
        answer = server.post("/api/recording/start/" + room)
        return (time.monotonic() - began) * 1000, answer

    with concurrent.futures.ThreadPoolExecutor(len(rooms)) as pool:
        calls = [pool.submit(start, room) for room in rooms]
        looks = FirstBytes(server.data, rooms)
        began, began_wall = time.monotonic(), time.time()
        ready.wait()
        answers = [call.result() for call in calls]
    refused = [answer for _, answer in answers if answer.status != 201]
    assert not refused, refused
    looks.wait(MARGIN_S)
    first = {room: (at - began) * 1000 for room, at in looks.at.items()}
    return [ms for ms, _ in answers], first, moments(server.process.result().err, began_wall)


def stop_all(server, rooms):
    for room in rooms:
        assert server.post("/api/recording/stop/" + room).status == 200
    for room in rooms:
        status = server.wait_state(room, "complete", "failed", "aborted")
        assert (status["state"], status["reason"]) == ("complete", "stopped"), status


def end(senders):
    for sender in senders:
        sender.process.terminate()
    wait.until(lambda: all(s.process.poll() is not None for s in senders), "the publishers to end")
