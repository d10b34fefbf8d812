# SPDX-License-Identifier: Apache-2.0
"""The daemon on a disk that fills up: what was written is whole, it ends, waits or makes room as it
was told, and it goes on when space returns."""

import glob
import json
import os
import shutil
import subprocess

import pytest

from harness import daemon, killing
from harness import tapedeck as deck

MIB = 1 << 20
DISK = 32 * MIB
# In a mount namespace of its own $1 becomes a disk of $2 bytes; the daemon takes the place of the shell.
SMALL_DISK = 'mount -t tmpfs -o size="$2" tapedeck-test "$1" || exit 99; shift 2; exec "$@"'


def on_small_disk(folder):
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Ur", "--mount"]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no mount namespaces here: " + probe.stderr.decode().strip())
    return [*command, "sh", "-c", SMALL_DISK, "small-disk", str(folder), str(DISK)]


class DiskServe(daemon.Serve):
    """A daemon whose data folder is a small disk; the test sees it through the process."""

    def __init__(self, tapedeck, folder, disk):
        self.mount = folder / "data"
        self.mount.mkdir()
        self.config = folder / "tapedeck.yaml"
        self.settings = {"listen": "127.0.0.1:0", "data_dir": str(self.mount), "loopback": True,
                         "limits": {"resume_window_s": 0}, "disk": disk,
                         # Nobody is there: a start is refused for the disk, or for that.
                         "ws_url": "ws://127.0.0.1:9", "api_key": "key", "api_secret": "s" * 32}
        super().__init__(tapedeck, self.mount)

    def start(self, *more):
        self.config.write_text(json.dumps(self.settings))  # JSON is YAML
        self.process = self.deck.spawn("serve", "-c", self.config, *more,
                                       prefix=on_small_disk(self.mount))
        self.wait_listening()
        self.data = f"/proc/{self.pid}/root{self.mount}"

    def wait_listening(self):
        words = "listening on http://127.0.0.1:"
        said = self.process.wait_for(
            lambda: next((line for line in self.process.result().out.splitlines()
                          if words in line), None), "the daemon to listen")
        self.port = int(said.split(words)[1].split()[0].strip("/."))

    def free(self):
        seen = os.statvfs(self.data)
        return seen.f_bavail * seen.f_frsize

    def fill(self, leave):
        """Something else takes the space, but for `leave` bytes."""
        with open(os.path.join(self.data, "ballast"), "ab", buffering=0) as ballast:
            while self.free() > leave:
                ballast.write(bytes(min(MIB, self.free() - leave)))

    def clear(self):
        os.unlink(os.path.join(self.data, "ballast"))

    def status(self, room):
        return self.get("/api/recording/status/" + room).json()

    def wait_reason(self, room, state, reason, seconds=30.0):
        return self.process.wait_for(
            lambda: next((doc for doc in [self.status(room)]
                          if (doc["state"], doc["reason"]) == (state, reason)), None),
            f"{room} to be {state} by {reason}", seconds)

    def wait_ready(self, ready):
        self.process.wait_for(lambda: self.get("/readyz").status == (200 if ready else 503),
                              f"ready={ready}")

    def folder(self, room):
        found = glob.glob(os.path.join(self.data, "recordings", room + "_*"))
        return found[0] if found else None

    def files(self, room):
        found = glob.glob(os.path.join(self.folder(room), "*.ts"))
        return sorted(p for p in found if ".recording." not in p)

    def events(self, room):
        with open(os.path.join(self.folder(room), "timeline.jsonl"), encoding="utf-8") as lines:
            return [json.loads(line)["event"] for line in lines]

    def manifest(self, room):
        with open(os.path.join(self.folder(room), "manifest.json"), encoding="utf-8") as text:
            return json.load(text)


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(**disk): a daemon with these settings of `disk`."""
    started = []

    def make(**disk):
        folder = tmp_path / f"disk-{len(started)}"
        folder.mkdir()
        started.append(DiskServe(tapedeck, folder, disk))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


@pytest.fixture
def send(tapedeck):
    """send(server, room): a running `tapedeck publish --whip`, once its file grows."""
    started = []

    def make(server, room, enough=150_000):
        one = daemon.Publish(tapedeck, "--whip", f"{server.url}/whip/{room}", *killing.SMALL)
        started.append(one)
        one.wait_sending()

        def stored():
            outputs = server.status(room).get("outputs", [])
            return sum(output["bytes"] for output in outputs) >= enough

        server.process.wait_for(stored, f"{room} to have {enough} bytes")
        return one

    yield make
    for one in started:
        one.stop()


def check_whole(tapedeck, path, tmp_path):
    """Valid, decodable, and no picture missing between the first and the last."""
    copy = shutil.copy(path, tmp_path)
    seen, code = killing.verify(tapedeck, copy)
    assert not killing.faults(seen, code), seen
    assert seen["pattern"]["frames"] == seen["pattern"]["readable"] > 0
    return seen


def refused(server):
    """Whether a new recording is, for want of space: with a problem that says so."""
    answer = server.post("/api/recording/start/nobody")
    assert answer.status >= 400, answer
    return answer.status == 507 and answer.json()["code"] == "disk_full"


@pytest.mark.parametrize("min_free", [0, 4 * MIB], ids=["unwatched", "watched"])
def test_a_full_disk_ends(serve, send, tapedeck, tmp_path, min_free):
    server = serve(on_full="end", min_free_bytes=min_free)
    send(server, "room")
    server.fill(300_000)
    doc = server.wait_reason("room", "complete", "disk_full")
    manifest = server.manifest("room")
    assert (manifest["state"], manifest["reason"]) == ("complete", "disk_full")
    # Watched, it ends before a writer meets the end of the disk.
    assert "disk_full" in server.events("room") or min_free
    path, = server.files("room")
    assert os.path.getsize(path) == sum(output["bytes"] for output in doc["outputs"]) > 150_000
    check_whole(tapedeck, path, tmp_path)
    assert not server.growing_files()
    server.clear()
    server.wait_ready(True)
    send(server, "again")  # it takes new ones once there is space


@pytest.mark.parametrize("min_free", [0, 4 * MIB], ids=["unwatched", "watched"])
def test_a_full_disk_pauses(serve, send, tapedeck, tmp_path, min_free):
    server = serve(on_full="pause", min_free_bytes=min_free)
    publisher = send(server, "room")
    server.fill(300_000)
    before = server.wait_reason("room", "paused", "disk")
    recording = before["id"]
    server.clear()
    doc = server.wait_state("room", "recording")
    assert doc["id"] == recording
    stored = sum(output["bytes"] for output in doc["outputs"])
    server.process.wait_for(
        lambda: sum(o["bytes"] for o in server.status("room")["outputs"]) > stored + 200_000,
        "it to go on")
    assert publisher.stop() == deck.DONE
    doc = server.wait_state("room", "complete")
    assert doc["id"] == recording
    events = server.events("room")
    assert events.index("paused") < events.index("resumed")
    assert "disk_full" in events or min_free
    paths = server.files("room")
    assert paths
    for path in paths:
        seen, code = killing.verify(tapedeck, shutil.copy(path, tmp_path))
        assert code == deck.DONE and not seen["damaged"] and not seen["decode_errors"], seen
        assert seen["pattern"]["duplicated"] == seen["pattern"]["reordered"] == 0, seen


@pytest.mark.parametrize("on_full", ["end", "pause"])
def test_stop_all(serve, send, tapedeck, tmp_path, on_full):
    server = serve(policy="stop_all", on_full=on_full, min_free_bytes=8 * MIB)
    send(server, "one")
    send(server, "two")
    server.wait_ready(True)
    server.fill(5 * MIB)
    states = ("complete", "disk_full") if on_full == "end" else ("paused", "disk")
    for room in ("one", "two"):
        server.wait_reason(room, *states)
    server.wait_ready(False)
    assert refused(server)
    server.clear()
    server.wait_ready(True)
    if on_full == "pause":
        for room in ("one", "two"):
            server.wait_state(room, "recording")
    else:
        for room in ("one", "two"):
            path, = server.files(room)
            check_whole(tapedeck, path, tmp_path)
    send(server, "three")


def test_stop_new(serve, send):
    server = serve(policy="stop_new", min_free_bytes=8 * MIB)
    send(server, "room")
    server.fill(5 * MIB)
    server.wait_ready(False)
    assert refused(server)
    path = server.wait_growing()
    server.process.wait_growth(path, more=100_000)  # what runs goes on
    assert server.status("room")["state"] == "recording"
    server.clear()
    server.wait_ready(True)
    assert not refused(server)


def test_drop_oldest(serve, send):
    server = serve(policy="drop_oldest", min_free_bytes=4 * MIB)
    ended = {}
    for room in ("first", "second", "third"):
        publisher = send(server, room, 300_000)
        assert publisher.stop() == deck.DONE
        ended[room] = server.wait_state(room, "complete")["id"]
    hold = daemon.call("PATCH", f"{server.url}/api/recordings/{ended['first']}", b'{"hold": true}',
                       {"Content-Type": "application/json"})
    assert hold.status == 200, hold
    send(server, "running")
    # Less than one of them has is wanted: a twentieth of 4 MiB.
    server.fill(4 * MIB - 1)
    gone = "/api/recordings/" + ended["second"]
    server.process.wait_for(lambda: server.get(gone).status == 404, "the oldest to be removed")
    assert server.folder("second") is None
    assert server.folder("first") and server.get("/api/recordings/" + ended["first"]).status == 200
    # Nothing more can go: what is on hold and what runs stays.
    server.fill(2 * MIB)
    server.wait_ready(False)
    assert refused(server)
    assert server.folder("third") is None
    assert server.folder("first") and server.folder("running")
    assert server.status("running")["state"] == "recording"
    server.clear()
    server.wait_ready(True)
    assert server.status("running")["state"] == "recording"


def test_retention(serve, send):
    server = serve(min_free_bytes=0, retention={"max_bytes": 550_000},
                   quotas=[{"room": "small-*", "max_bytes": 1}])
    for room in ("first", "second", "small-1"):
        publisher = send(server, room, 300_000)
        assert publisher.stop() == deck.DONE
        server.wait_state(room, "complete")
    # What goes for the quota helps the total; the newest that fits is left.
    server.process.wait_for(lambda: server.folder("small-1") is None and
                            server.folder("first") is None, "what is too much to be removed")
    assert server.folder("second")
    listed = server.get("/api/recordings").json()["recordings"]
    assert [doc["room"] for doc in listed] == ["second"]
