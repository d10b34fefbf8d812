# SPDX-License-Identifier: Apache-2.0
"""`tapedeck serve` and `tapedeck publish` beside a test: who they are, what they say, what was sent."""

import glob
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request

from harness import wait


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"

    def json(self):
        return json.loads(self.body)


def call(method, url, body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class Serve:
    """A daemon on 127.0.0.1; `restart` comes back on the same port and folder."""

    def __init__(self, deck, data, *more):
        self.deck, self.data, self.port = deck, str(data), 0
        self.process = None
        self.start(*more)

    def start(self, *more):
        self.process = self.deck.spawn("serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir",
                                       self.data, "--loopback", *more)
        said = self.process.wait_for(
            lambda: re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.process.result().out),
            "the daemon to listen")
        self.port = int(said.group(1))

    @property
    def pid(self):
        return self.process.process.pid

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, **headers):
        return call("GET", self.url + path, headers=headers)

    def post(self, path, body=b"", **headers):
        return call("POST", self.url + path, body, headers)

    def growing_files(self):
        found = glob.glob(os.path.join(self.data, "recordings", "*", "*.recording.*"))
        return sorted(p for p in found if os.path.splitext(p)[1] in (".ts", ".mkv"))

    def finished_files(self):
        found = glob.glob(os.path.join(self.data, "recordings", "*", "*.*"))
        return sorted(p for p in found
                      if os.path.splitext(p)[1] in (".ts", ".mkv") and ".recording." not in p)

    def wait_growing(self, seconds=30.0):
        """The one file that grows and has bytes."""
        def found():
            return next((p for p in self.growing_files() if os.path.getsize(p) > 0), None)

        return self.process.wait_for(found, "a file that grows", seconds)

    def wait_state(self, room, *states, seconds=30.0):
        """The room's newest recording once it is in one of `states`."""
        def reached():
            answer = self.get("/api/recording/status/" + room)
            return answer.json() if answer.status == 200 and answer.json()["state"] in states \
                else None

        return self.process.wait_for(reached, f"{room} to be {states}", seconds)


class Publish:
    """A running `tapedeck publish --json`; knows which frame was due at any moment."""

    def __init__(self, deck, *args):
        self.events = []
        number = len(glob.glob(os.path.join(deck.folder, "publish-*.log")))
        os.makedirs(deck.folder, exist_ok=True)
        self.log = os.path.join(deck.folder, f"publish-{number}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [deck.binary, "publish", "--json", *map(str, args)], env=deck.env, stderr=log,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _listen(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def wait(self, condition, what, seconds=30.0):
        def check():
            answer = condition()
            assert answer or self.process.poll() is None, f"publish ended\n{self._text()}"
            return answer

        return wait.until(check, lambda: f"{what}\n{self.events[-3:]}\n{self._text()}", seconds)

    def _status(self):
        return next((e for e in reversed(list(self.events)) if e.get("start_wall_us")), None)

    def wait_sending(self, seconds=30.0):
        """Until its anchor in time is known: the pattern is encoded, it is connected."""
        return self.wait(self._status, "the publisher to send", seconds)

    @property
    def fps(self):
        return self._status()["fps"]

    def sent_by(self, wall_s):
        """Number of the last frame that was due at this wall time: an upper bound, by one, of what
        can have left."""
        return int((wall_s - self._status()["start_wall_us"] / 1e6) * self.fps)

    def media_s(self, wall_s):
        return wall_s - self._status()["start_wall_us"] / 1e6

    def stop(self):
        """SIGINT and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()
