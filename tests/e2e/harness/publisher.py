# SPDX-License-Identifier: Apache-2.0
"""The handle on sdk_publish.py: starts it, gives orders, knows when each frame was sent."""

import json
import os
import subprocess
import sys
import threading

from harness import wait

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULTS = {"codec": "H264", "width": 1280, "height": 720, "fps": 30, "kbps": 2000, "video": True,
            "audio": True}


class Publisher:
    def __init__(self, livekit, room, identity, log, **options):
        self.options = {**DEFAULTS, **options, "url": livekit.url,
                        "token": livekit.token(room, identity)}
        self.identity = identity
        self.log = log
        self.events = []
        self.frame_time = {}
        self.process = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.sdk_publish", json.dumps(self.options)], cwd=HERE,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait("published")
        if self.options["video"]:
            wait.until(lambda: self.frame_time, "the first frame of the publisher")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            try:
                self.order("stop")
                self.process.wait(10)
            except (subprocess.TimeoutExpired, OSError):
                self.process.kill()
        self.process.wait()

    def _listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "frame":
                self.frame_time[event["number"]] = event["time"]
            else:
                self.events.append(event)

    def _log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def wait(self, name, **fields):
        def found():
            for event in self.events:
                if event["event"] == name and fields.items() <= event.items():
                    return event
            assert self.process.poll() is None or name == "left", self._log_text()
            return None

        return wait.until(found, lambda: f"{name} {fields}\n{self._log_text()}")

    def order(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()
        if word != "stop":
            self.wait("obeyed", order=word)

    def kill(self):
        self.process.kill()
        self.process.wait()
