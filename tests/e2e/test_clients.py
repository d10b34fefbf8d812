# SPDX-License-Identifier: Apache-2.0
"""The commands that talk to a running daemon: what people and programs are shown, what comes of it,
and the exit codes."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import daemon, killing, media, wait
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

SMALL = {"codec": "H264", "width": 640, "height": 360, "kbps": 800}


class Serve(daemon.Serve):
    """A daemon with its configuration, and the commands that call it."""

    def __init__(self, tapedeck, folder, settings):
        folder.mkdir()
        config = folder / "tapedeck.yaml"
        config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        super().__init__(tapedeck, folder / "data", "-c", config)

    def run(self, command, *words):
        return self.deck.run(command, *words, "--server", self.url)

    def done(self, command, *words):
        """What it says on stdout, when all is well."""
        result = self.run(command, *words)
        assert result.code == deck.DONE and not result.err, result
        return result.out

    def json(self, command, *words):
        """The one line of --json."""
        line, = self.done(command, *words, "--json").splitlines()
        return json.loads(line)

    def refused(self, code, command, *words):
        """The sentence on stderr of a command that ends with this code."""
        result = self.run(command, *words)
        assert result.code == code and not result.out, result
        return result.sentence()


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(**settings): a daemon."""
    started = []

    def make(**settings):
        started.append(Serve(tapedeck, tmp_path / f"serve-{len(started)}", settings))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


@pytest.fixture
def send(tapedeck):
    """send(server, room): a running `tapedeck publish --whip`."""
    started = []

    def make(server, room="room", *options):
        started.append(daemon.Publish(tapedeck, "--whip", server.url + "/whip/" + room,
                                      *killing.SMALL, *options))
        return started[-1]

    yield make
    for one in started:
        one.process.send_signal(signal.SIGCONT)
        one.stop()


@pytest.fixture
def dead():
    """The URL of a LiveKit server that is not there."""
    return {"ws_url": f"ws://127.0.0.1:{wait.free_ports(1)[0]}", "api_key": KEY,
            "api_secret": SECRET}


@pytest.fixture
def silent():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def freeze(sender):
    """It does not come back when its recording is stopped."""
    sender.process.send_signal(signal.SIGSTOP)


def grown(server, more=200_000):
    server.process.wait_growth(server.wait_growing(), more=more)


def rows(table):
    """Cells of each line below the titles."""
    titles, *lines = table.splitlines()
    assert titles.startswith("ID "), table
    return [re.split(r"  +", line) for line in lines]


def test_watched_paused_and_stopped(serve, send, tapedeck):
    server = serve()
    assert "no recording runs" in server.done("status")
    assert server.done("list") == ""
    sender = send(server)
    sender.wait_sending()
    grown(server)
    recording = server.wait_state("room", "recording")["id"]

    head, disk, empty, *table = server.done("status").splitlines()
    assert re.fullmatch(r"tapedeck \d\S* at " + server.url + ": ready", head)
    assert re.fullmatch(r"disk: \d+\.\d [kMGTP]B of \d+\.\d [kMGTP]B free", disk) and not empty
    shown, = rows("\n".join(table))
    assert shown[:2] == [recording, "room"] and shown[-1] == "recording"
    assert re.fullmatch(r"00:00:\d\d", shown[2]) and re.fullmatch(r"\d+\.\d [kM]B", shown[3])
    assert shown[4:6] == ["0", "0"]
    seen = server.json("status")
    assert seen["health"]["recordings"] == 1 and seen["ready"]["ready"] is True
    assert seen["disk"]["total_bytes"] > seen["disk"]["free_bytes"] > 0
    assert [r["id"] for r in seen["recordings"]] == [recording]

    for word in ("room", recording):
        sheet = server.done("status", word)
        assert f"recording  {recording}\n" in sheet and "state      recording\n" in sheet
        assert server.wait_growing() in sheet
        assert server.json("status", word)["id"] == recording

    assert server.done("pause", "room").split() == [recording, "room", "paused"]
    assert server.json("pause", recording)["state"] == "paused"
    assert rows(server.done("list", "--state", "paused"))[0][0] == recording
    assert "paused" in server.done("status")
    assert server.json("resume", "room")["state"] == "recording"
    assert server.done("resume", recording).split() == [recording, "room", "recording"]
    grown(server, 50_000)

    freeze(sender)
    said = server.done("stop", "room")
    path, = server.finished_files()
    assert f"{recording}  room  complete (stopped)\n" in said and path in said
    assert str(os.path.getsize(path)) in said
    assert re.search(r"\b00:00:\d\d\.\d{3}\b", said)
    media.assert_decodes(path)
    assert server.json("stop", recording) == server.get("/api/recordings/" + recording).json()
    for command in ("pause", "resume"):
        assert "has ended" in server.refused(deck.FAILED, command, "room")
    listed, = rows(server.done("list"))
    assert listed[0] == recording and listed[-1] == "complete (stopped)"
    assert "no recording runs" in server.done("status")


def test_a_livekit_room(serve, livekit, publish, room):
    server = serve(ws_url=livekit.url, api_key=KEY, api_secret=SECRET)
    publish(room, "alice", **SMALL)
    publish(room, "bob", **SMALL)
    asked = ("start", room, "--format", "mkv", "--participant", "b*", "--max-duration", "10m",
             "--max-size", "1G", "--hold", "--idempotency-key", "once")
    said = server.done(*asked)
    line, _, file, *_ = said.splitlines()
    recording = line.split()[0]
    assert recording.startswith("rec_") and line.split()[1] == room
    path = file.split()[-1]  # where it grows
    assert path.endswith("bob.recording.mkv") and os.path.exists(path), said
    assert file.split()[0] == "bob" and "growing" in file
    doc = server.json("status", recording)
    assert doc["hold"] is True and [o["participant"] for o in doc["outputs"]] == ["bob"]

    assert "is being recorded already" in server.done("start", room)
    assert server.json("start", room)["id"] == recording
    assert "was made before" in server.done(*asked)
    assert "--idempotency-key" in server.refused(deck.USAGE, *asked, "--tier", "source")
    assert server.json("stop", recording, "--no-wait")["state"] in ("finishing", "complete")
    said = server.done("stop", room)
    assert "complete (stopped)" in said and "bob.mkv" in said
    assert "was made before" in server.done(*asked)  # nothing new was begun
    assert len(rows(server.done("list"))) == 1
    media.assert_decodes(path.replace(".recording.", "."))


def test_a_start_with_a_ready_token(serve, livekit, publish, room):
    server = serve()
    assert "No LiveKit server" in server.refused(deck.USAGE, "start", room)
    said = server.done("start", room, "--url", livekit.url, "--token",
                       livekit.token(room, "recorder"))
    doc = server.json("status", room)
    assert f"{doc['id']}  {room}  waiting\n" in said
    assert f"DATA/recordings/{doc['folder']}\n" in said and not doc["outputs"]
    assert os.path.isdir(os.path.join(server.data, "recordings", doc["folder"]))
    assert "aborted (stopped)" in server.done("stop", room)


def test_refusals(serve, dead, room):
    server = serve(formats=["ts"], **dead)
    assert "--url" in server.refused(deck.REFUSED, "start", room)
    assert server.json("status", room)["state"] == "failed"
    assert "failed (" in server.done("list") and "error " in server.done("status", room)
    result = server.run("stop", room)  # it has ended, but not well
    assert result.code == deck.FAILED and "failed" in result.out, result
    assert "formats" in server.refused(deck.USAGE, "start", room, "--format", "mkv")
    assert "state" in server.refused(deck.USAGE, "list", "--state", "sleeping")
    for command in ("status", "stop", "pause", "resume"):
        for word in ("nobody", "rec_nobody", "../../healthz", "a/b?c=d#e"):
            assert "tapedeck list" in server.refused(deck.FAILED, command, word)
        for word in ("rec_../../healthz", "rec_1?x", "rec_A"):
            assert "not the id" in server.refused(deck.USAGE, command, word)
    result = server.run("pause", "rec_nobody", "--json")
    assert result.code == deck.FAILED and result.sentence()
    assert json.loads(result.out)["code"] == "no_such_recording"
    assert server.refused(deck.USAGE, "status", "x" * 256)


def test_limits_and_a_full_disk(serve, livekit, room):
    asked = {"ws_url": livekit.url, "api_key": KEY, "api_secret": SECRET}
    server = serve(limits={"max_recordings": 1}, **asked)
    server.done("start", room)
    assert "limit" in server.refused(deck.FAILED, "start", room + "-2")
    server.done("stop", room)
    server = serve(disk={"min_free_bytes": "900T"}, **asked)
    said = server.process.wait_for(lambda: "not ready" in server.done("status") and
                                   server.done("status"), "the daemon to see its disk")
    assert "the disk is too full for new recordings\n" in said
    assert server.json("status")["ready"]["checks"]["disk"] is False
    assert "tapedeck status" in server.refused(deck.STORAGE, "start", room)


def test_keys(serve, dead, tapedeck):
    server = serve(api_keys=[{"key": "all-of-them"}, {"key": "only-other", "rooms": "other-*"}],
                   **dead)
    for command, words in [("status", []), ("status", ["room"]), ("list", []), ("start", ["room"]),
                           ("stop", ["rec_1"]), ("pause", ["room"]), ("resume", ["room"])]:
        assert "TAPEDECK_TOKEN" in server.refused(deck.REFUSED, command, *words)
        wrong = server.refused(deck.REFUSED, command, *words, "--api-token", "a-guess")
        assert "api_keys" in wrong and "a-guess" not in wrong
    assert server.refused(deck.REFUSED, "start", "room", "--api-token", "only-other")
    assert "other rooms" in server.refused(deck.REFUSED, "list", "--room", "room", "--api-token",
                                           "only-other")
    seen = server.json("status", "--api-token", "only-other")
    assert seen["ready"]["ready"] is True and seen["disk"] is None
    assert "disk" not in server.done("status", "--api-token", "only-other")
    tapedeck.env["TAPEDECK_TOKEN"] = "all-of-them"
    tapedeck.env["TAPEDECK_SERVER"] = server.url + "/"
    result = tapedeck.run("status")
    assert result.code == deck.DONE and "disk: " in result.out, result


def test_many_recordings_page_by_page(serve, dead):
    server = serve(**dead)
    rooms = [f"page-{n}" for n in range(102)]  # more than a page of --all
    for name in rooms:
        assert server.post("/api/recording/start/" + name).status == 502
    listed = rows(server.done("list", "--all"))
    assert [row[1] for row in listed] == rooms[::-1]
    pages = [json.loads(line) for line in server.done("list", "--all", "--json").splitlines()]
    assert [len(page["recordings"]) for page in pages] == [100, 2]
    assert pages[0]["next_cursor"] and pages[1]["next_cursor"] is None
    assert len(rows(server.done("list"))) == 50
    assert len(rows(server.done("list", "-n", "3", "--state", "failed"))) == 3
    assert server.json("list", "--limit", "3") == server.get("/api/recordings?limit=3").json()
    assert [row[1] for row in rows(server.done("list", "--room", "page-7"))] == ["page-7"]
    assert server.done("list", "--all", "--state", "recording") == ""


def test_names_do_not_steer_the_terminal(serve, dead):
    server = serve(**dead)
    name = "a b\u009b31m\u202e/%2e…"
    server.refused(deck.REFUSED, "start", name)
    for command, *words in [("list",), ("status", name)]:
        out = server.done(command, *words)
        assert "a b?31m?/%2e…" in out and "\u009b" not in out and "\u202e" not in out
    assert server.json("status", name)["room"] == name
    assert "\u009b" not in server.run("stop", name).out


def test_two_recordings_of_a_room(serve, send):
    server = serve()
    senders = [send(server), send(server)]
    wait.until(lambda: len(server.json("list", "--state", "recording")["recordings"]) == 2,
               "both to be recorded")
    for sender in senders:
        freeze(sender)
    newest, oldest = [r["id"] for r in server.json("list")["recordings"]]
    result = server.run("stop", "room")
    assert result.code == deck.DONE and newest in result.out, result
    assert "2 recordings of the room 'room' run" in result.err
    assert server.json("status", "room")["id"] == oldest  # that runs, though it is older
    assert server.json("stop", "room")["id"] == oldest


def test_no_daemon_and_somebody_else(tapedeck, silent):
    port, = wait.free_ports(1)
    result = tapedeck.run("status", "--server", f"http://127.0.0.1:{port}")
    assert result.code == deck.FAILED and "tapedeck serve" in result.sentence(), result
    result = tapedeck.run("list", "--server", f"http://127.0.0.1:{silent}", "--timeout", "300ms")
    assert result.code == deck.FAILED and "no answer" in result.sentence(), result
    result = tapedeck.run("list", "--server", f"127.0.0.1:{port}")
    assert result.code == deck.USAGE and "http://127.0.0.1:8000" in result.sentence(), result


def test_livekit_is_no_daemon(tapedeck, livekit):
    for command, *words in [("status",), ("list",), ("stop", "room")]:
        result = tapedeck.run(command, *words, "--server", livekit.url.replace("ws", "http", 1))
        assert result.code != deck.DONE and "no tapedeck daemon" in result.sentence(), result


def test_a_long_wait_is_seen_and_secrets_are_not(tapedeck, silent):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [tapedeck.binary, "start", "stand\x1bup", "--server", f"http://127.0.0.1:{silent}",
         "--api-token", "hunter2", "--token=s3cret", "--timeout", "2500ms"],
        env=tapedeck.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"1 s" not in seen:
        seen += os.read(ours, 4096)
    with open(f"/proc/{process.pid}/cmdline", "rb") as f:
        line = f.read()
    assert b"hunter2" not in line and b"s3cret" not in line and b"--api-token" in line
    assert "starting stand?up … 1 s".encode() in seen
    while b"no answer" not in seen:
        seen += os.read(ours, 4096)
    assert process.wait(20) == deck.FAILED
    os.close(ours)


# ---- completion ----

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMPLETION = os.path.join(ROOT, "packaging/completion/tapedeck.bash")
ASK = r"""
source "$COMPLETION"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
_tapedeck
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(tapedeck):
    """complete(WORD...): what bash offers for the last one."""
    def ask(*words, **env):
        done = subprocess.run(
            ["bash", "--norc", "-c", ASK, "bash", tapedeck.binary, *words], text=True, timeout=30,
            capture_output=True, check=True, cwd=tapedeck.folder if os.path.isdir(tapedeck.folder)
            else None, env={**tapedeck.env, "COMPLETION": COMPLETION, "LC_ALL": "C.UTF-8", **env})
        assert not done.stderr, done.stderr
        return done.stdout.splitlines()

    return ask


def test_words_are_completed(complete, tapedeck):
    commands = tapedeck.run("--help").out
    assert set(complete("")) - {"--help", "--version"} == set(
        re.findall(r"^  ([a-z]+) ", commands, re.MULTILINE))
    assert complete("sta") == ["status", "start"]
    assert complete("stop", "--no") == ["--no-wait"]
    options = re.findall(r"^  (?:-\w, |    )(--[\w-]+)", tapedeck.run("start", "--help").out,
                         re.MULTILINE)
    assert complete("start", "--") == options
    assert complete("start", "--format", "") == ["ts", "mkv", "auto"]
    assert complete("start", "-f", "m") == ["mkv"]
    assert complete("start", "--format", "=") == ["ts", "mkv", "auto"]
    assert complete("start", "--format", "=", "t") == ["ts"]
    assert complete("list", "--state", "p") == ["paused"]
    assert complete("config", "") == ["check", "print"]
    assert complete("start", "--participant", "") == []
    assert complete("nonsense", "x") == []


def test_files_are_completed(complete, tapedeck):
    os.makedirs(os.path.join(tapedeck.folder, "talk"))
    with open(os.path.join(tapedeck.folder, "talk.ts"), "wb"):
        pass
    assert sorted(complete("verify", "ta")) == ["talk", "talk.ts"]
    assert complete("serve", "--data-dir", "ta") == ["talk"]
    assert sorted(complete("serve", "-c", "ta")) == ["talk", "talk.ts"]
    assert complete("config", "check", "talk.") == ["talk.ts"]


def test_rooms_and_ids_are_completed(complete, serve, send, dead):
    server = serve(**dead)
    names = ["plain", "two words", "Müller's", "a:b=c", 'quo"te', "c1\u009b31m", "$(reboot)"]
    for name in names:
        server.refused(deck.REFUSED, "start", name)
    send(server, "live").wait_sending()
    live = server.wait_state("live", "waiting", "recording")["id"]
    env = {"TAPEDECK_SERVER": server.url}
    offered = complete("start", "", **env)
    assert sorted(offered) == sorted(["live", "plain", r"two\ words", r"Müller\'s", r"a\:b\=c",
                                      r"\$\(reboot\)"])
    assert complete("start", "two", **env) == [r"two\ words"]
    assert complete("start", r"two\ w", **env) == [r"two\ words"]
    assert complete("start", "'two w", **env) == ["two words"]
    assert complete("list", "--room", "pl", **env) == ["plain"]
    assert set(complete("status", "rec_", **env)) == {
        r["id"] for r in server.json("list")["recordings"]}
    for command in ("stop", "pause", "resume"):
        assert complete(command, "", **env) == ["live", live]  # what runs
    assert complete("stop", "--server", server.url, "l") == ["live"]


def test_completion_does_not_wait(complete, silent):
    port, = wait.free_ports(1)
    assert complete("start", "", TAPEDECK_SERVER=f"http://127.0.0.1:{port}") == []
    begin = time.monotonic()
    assert complete("start", "", TAPEDECK_SERVER=f"http://127.0.0.1:{silent}") == []
    assert time.monotonic() - begin < 5
