# SPDX-License-Identifier: Apache-2.0
"""A client of server-sent events: what arrives, in order, and whether the stream has ended."""

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse

from harness import wait


class Event:
    def __init__(self, fields):
        self.id, self.name = fields.get("id"), fields.get("event", "message")
        self.data = json.loads(fields["data"]) if "data" in fields else None

    def __repr__(self):
        return f"{self.id} {self.name} {str(self.data)[:200]}"


class Stream:
    """GET of `path`; `last` is sent as Last-Event-ID."""

    def __init__(self, url, path, last=None):
        where = urllib.parse.urlsplit(url)
        self.events, self.ended = [], False
        self.client = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        self.client.request("GET", path, headers={"Last-Event-ID": last} if last else {})
        self.socket = self.client.sock  # the answer takes it from the client
        self.answer = self.client.getresponse()
        self.status, self.headers = self.answer.status, self.answer.headers
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # it may have ended just now
            self.socket.shutdown(socket.SHUT_RDWR)
        self.wait_end()
        self.answer.close()
        self.client.close()

    def _read(self):
        fields = {}
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields and not line:
                    self.events.append(Event(fields))
                    fields = {}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed by the test
        self.ended = True

    def wait(self, name, seconds=30.0, **data):
        """The first event of this name with these members in its data."""
        def found():
            ended = self.ended  # before the events: what comes last is seen
            for event in list(self.events):
                if event.name == name and data.items() <= event.data.items():
                    return event
            assert not ended, f"the stream ended without {name} {data}\n{self.events[-5:]}"
            return None

        return wait.until(found, lambda: f"{name} {data}\n{self.events[-5:]}", seconds)

    def wait_end(self, seconds=30.0):
        wait.until(lambda: self.ended, lambda: f"the stream to end\n{self.events[-5:]}", seconds)

    def names(self):
        return [event.name for event in self.events]
