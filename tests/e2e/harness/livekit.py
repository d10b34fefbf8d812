# SPDX-License-Identifier: Apache-2.0
"""A real livekit-server on loopback, without Redis; tokens and room calls through its own API."""

import asyncio
import datetime
import json
import os
import signal
import socket
import subprocess

from livekit import api

from harness import wait

KEY = "devkey"
SECRET = "a-secret-of-the-tests-long-enough-for-hs256"


class LiveKit:
    def __init__(self, binary, folder, **overrides):
        self.binary, self.folder, self.overrides = binary, folder, overrides
        self.log = os.path.join(folder, "livekit-server.log")
        self.port = None
        self.process = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def _config(self):
        self.port, tcp = wait.free_ports(2)
        udp, = wait.free_ports(1, socket.SOCK_DGRAM)
        config = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {KEY: SECRET},
            "logging": {"level": "info", "json": True},
            "rtc": {"tcp_port": tcp, "udp_port": udp, "use_external_ip": False,
                    "node_ip": "127.0.0.1", "enable_loopback_candidate": True,
                    "interfaces": {"includes": ["lo"]}},
            "room": {"auto_create": True, "empty_timeout": 20, "departure_timeout": 5},
            **self.overrides,
        }
        path = os.path.join(self.folder, "livekit.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)  # JSON is YAML
        return path

    def start(self):
        config = self._config()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "--config", config], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        wait.until(lambda: self.process.poll() is not None or wait.listening(self.port),
                   "livekit-server to listen")
        assert self.process.poll() is None, open(self.log, encoding="utf-8").read()[-3000:]
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def token(self, room, identity, key=KEY, secret=SECRET, **grants):
        grant = api.VideoGrants(room_join=True, room=room, **grants)
        return (api.AccessToken(key, secret).with_identity(identity).with_name(identity)
                .with_ttl(datetime.timedelta(hours=1)).with_grants(grant).to_jwt())

    def _call(self, use):
        async def body():
            async with api.LiveKitAPI(self.url.replace("ws", "http", 1), KEY, SECRET) as client:
                return await use(client.room)

        return asyncio.run(body())

    def participants(self, room):
        """Identities to participant messages; empty for a room that does not exist."""
        try:
            answer = self._call(lambda r: r.list_participants(
                api.ListParticipantsRequest(room=room)))
        except api.TwirpError as error:
            if error.code == api.TwirpErrorCode.NOT_FOUND:
                return {}
            raise
        return {p.identity: p for p in answer.participants}

    def rooms(self):
        answer = self._call(lambda r: r.list_rooms(api.ListRoomsRequest()))
        return [room.name for room in answer.rooms]

    def delete_room(self, room):
        self._call(lambda r: r.delete_room(api.DeleteRoomRequest(room=room)))

    def remove(self, room, identity):
        self._call(lambda r: r.remove_participant(
            api.RoomParticipantIdentity(room=room, identity=identity)))
