# SPDX-License-Identifier: Apache-2.0
"""Somebody who wants to hear: an HTTP server that reads webhooks with LiveKit's own receiver."""

import http.server
import json
import threading

from livekit import api

from harness import wait
from harness.livekit import KEY, SECRET


class Letter:
    """One delivery that was verified and understood."""

    def __init__(self, path, event, body):
        self.path, self.event, self.body = path, event, json.loads(body)

    def __repr__(self):
        return f"{self.event.event} {self.state} {self.event.id}"

    @property
    def recording(self):
        return self.event.egress_info.egress_id

    @property
    def state(self):
        return self.body["recording"]["state"]


class Receiver:
    """Listens on a port of its own, which stays the same while it is down."""

    def __init__(self, key=KEY, secret=SECRET):
        self.port, = wait.free_ports(1)
        self.reader = api.WebhookReceiver(api.TokenVerifier(key, secret))
        self.letters = []  # each delivery, in the order of their arrival
        self.refused = []  # what did not verify or could not be read
        self.statuses = []  # answers to give instead of 200, used up one by one
        self.server = None

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.port}{path}"

    def _take(self, path, headers, body):
        status = self.statuses.pop(0) if self.statuses else 200
        try:
            assert headers["Content-Type"] == "application/webhook+json", headers
            event = self.reader.receive(body.decode(), headers["Authorization"])
        except Exception as error:  # whatever is wrong with it, the test shall see it
            self.refused.append(error)
            return 401
        if status == 200:
            self.letters.append(Letter(path, event, body))
        return status

    def up(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver._take(self.path, self.headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def down(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def of(self, recording, path=None):
        """The letters of a recording, each once, in the order in which they first came."""
        seen = {}
        for letter in list(self.letters):
            if letter.recording == recording and path in (None, letter.path):
                seen.setdefault(letter.event.id, letter)
        return list(seen.values())

    def wait_end(self, recording, path=None, seconds=60.0):
        """All letters of a recording once its last one is there."""
        def ended():
            letters = self.of(recording, path)
            return letters if letters and letters[-1].event.event == "egress_ended" else None

        return wait.until(ended, lambda: f"the end of {recording}\n{self.letters}\n{self.refused}",
                          seconds)
