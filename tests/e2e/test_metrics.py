# SPDX-License-Identifier: Apache-2.0
"""GET /metrics of a real daemon: the series of recordings come, tell the truth, and leave."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import daemon, killing, wait
from harness import tapedeck as deck

NAMES = {
    "recording_memory_usage_mb", "recording_file_size_bytes", "recording_zero_packet_streak",
    "recording_disk_write_rate", "recording_bytes_written_total", "recording_packets_written_total",
    "recording_frames_dropped_backpressure_total", "recording_last_disk_write_timestamp_seconds",
    "recording_frames_received_total", "recording_bytes_since_last_flush", "recording_av_skew_ms",
    "recording_rtp_received_total", "recording_rtp_lost_total", "recording_rtp_recovered_total",
    "recording_gap_seconds_total", "recording_unsynced_bytes",
    "recording_write_latency_seconds_bucket", "recording_write_latency_seconds_sum",
    "recording_write_latency_seconds_count"}
LINE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# The only two faults that promtool may find: names that dashboards use.
LINTS = {"recording_av_skew_ms metric names should not contain abbreviated units",
         "recording_memory_usage_mb metric names should not contain abbreviated units"}


class Page:
    """One scrape."""

    def __init__(self, server, **headers):
        answer = server.get("/metrics", **headers)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = answer.body.decode()
        self.samples = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                name, labels, value = LINE.fullmatch(line).groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def all(self, name, **labels):
        return [(has, value) for n, has, value in self.samples
                if n == name and labels.items() <= has.items()]

    def value(self, name, **labels):
        """Of the one sample that fits; None when there is none."""
        found = self.all(name, **labels)
        assert len(found) < 2, found
        return found[0][1] if found else None

    def names_of(self, room):
        return {name for name, labels, _ in self.samples if labels.get("room") == room}


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(*options): a daemon."""
    started = []

    def make(*options):
        started.append(daemon.Serve(tapedeck, tmp_path / f"data-{len(started)}", *options))
        return started[-1]

    yield make
    for one in started:
        if one.process.alive():
            result = one.process.interrupt()
            assert result.code == deck.DONE, result


@pytest.fixture
def send(tapedeck):
    """send(url, *options): a running `tapedeck publish --whip`."""
    started = []

    def make(url, *options):
        started.append(daemon.Publish(tapedeck, "--whip", url, *killing.SMALL, *options))
        return started[-1]

    yield make
    for one in started:
        one.stop()


def until(server, condition, what, seconds=30.0):
    """The first page for which condition(page) holds."""
    def check():
        page = Page(server)
        return page if condition(page) else None

    return server.process.wait_for(check, what, seconds)


def recorded(server, room="room", size=200_000):
    return until(server, lambda p: (p.value("recording_file_size_bytes", room=room) or 0) > size,
                 f"{room} to be recorded")


def test_a_recording_tells_the_truth(serve, send):
    server = serve()
    assert Page(server).value("tapedeck_recordings_running") == 0
    assert not Page(server).names_of("room")
    alice = send(server.url + "/whip/room")
    alice.wait_sending()
    live = server.wait_growing()
    before = os.path.getsize(live)
    page = recorded(server, size=before + 200_000)
    assert page.names_of("room") == NAMES | {"recording_state"}
    ids = {labels["recording_id"] for _, labels, _ in page.samples if labels.get("room") == "room"}
    assert ids == {server.get("/api/recording/status/room").json()["id"]}
    assert page.value("recording_state", room="room", state="recording") == 1
    size = page.value("recording_file_size_bytes", room="room")
    assert before <= size <= os.path.getsize(live)
    assert page.value("recording_bytes_written_total", room="room") == size
    assert 0 < page.value("recording_memory_usage_mb", room="room") < 64
    assert page.value("recording_zero_packet_streak", room="room") == 0
    stored = page.value("recording_packets_written_total", room="room")
    assert 0 < stored <= page.value("recording_frames_received_total", room="room")
    assert page.value("recording_rtp_received_total", room="room") > stored
    assert page.value("recording_frames_dropped_backpressure_total", room="room") == 0
    assert page.value("recording_rtp_lost_total", room="room") == 0
    assert abs(page.value("recording_av_skew_ms", room="room")) <= 20
    assert page.value("recording_bytes_since_last_flush", room="room") < 2 ** 20
    assert abs(time.time() - page.value("recording_last_disk_write_timestamp_seconds",
                                        room="room")) < 10
    writes = page.value("recording_write_latency_seconds_count", room="room")
    assert writes > 0
    assert page.value("recording_write_latency_seconds_bucket", room="room", le="+Inf") == writes
    assert page.value("tapedeck_recordings_running") == 1
    assert page.value("tapedeck_recordings_started_total") == 1
    assert 0 < page.value("tapedeck_crash_pool_buffers_used") \
        <= page.value("tapedeck_crash_pool_buffers")
    assert page.value("tapedeck_crash_safe") == 1
    alice.stop()
    page = until(server, lambda p: p.value("tapedeck_recordings_running") == 0, "its end")
    assert not page.names_of("room")  # gone with it, not after a while
    (labels, count), = page.all("tapedeck_recordings_ended_total")
    assert count == 1 and labels["state"] == "complete", labels
    assert labels["reason"] == server.get("/api/recording/status/room").json()["reason"]
    assert page.value("tapedeck_recordings_started_total") == 1
    assert page.value("tapedeck_crash_pool_buffers_used") == 0


def test_the_rate_is_that_of_the_file(serve, send):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    live = server.wait_growing()
    recorded(server)
    start, before = time.monotonic(), os.path.getsize(live)
    server.process.wait_growth(live, more=8 * before)
    after = os.path.getsize(live)
    real = (after - before) / (time.monotonic() - start)
    page = Page(server)
    assert real / 2 < page.value("recording_disk_write_rate", room="room") < real * 2


def test_promtool_likes_it(serve, send):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    server = serve()
    nasty = "%22quotes%22%20back%5Cslash%20B%C3%BCro"
    send(server.url + "/whip/" + nasty).wait_sending()
    page = recorded(server, room='\\"quotes\\" back\\\\slash Büro')
    run = subprocess.run(["promtool", "check", "metrics"], input=page.text, text=True,
                         capture_output=True, check=False, timeout=60)
    said = {line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()}
    assert run.returncode in (0, 3) and said <= LINTS, said


def test_silence_is_counted(serve, send):
    server = serve()
    alice = send(server.url + "/whip/room")
    alice.wait_sending()
    recorded(server)
    alice.process.send_signal(signal.SIGSTOP)
    try:
        until(server, lambda p: (p.value("recording_zero_packet_streak", room="room") or 0) >= 3,
              "three silent seconds")
    finally:
        alice.process.send_signal(signal.SIGCONT)
    until(server, lambda p: p.value("recording_zero_packet_streak", room="room") == 0,
          "packets again")


def test_series_are_there_while_it_records(serve, send):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    recorded(server)
    which = "/api/recordings/" + server.get("/api/recording/status/room").json()["id"]
    assert server.post(which + "/pause").status == 200
    page = until(server, lambda p: p.value("recording_state", room="room", state="paused"), "a pause")
    assert page.names_of("room") == {"recording_state"}
    assert server.post(which + "/resume").status == 200
    page = until(server, lambda p: p.value("recording_state", room="room", state="recording"),
                 "to go on")
    assert page.names_of("room") == NAMES | {"recording_state"}


def test_a_refused_start_is_counted(serve, room):
    port, = wait.free_ports(1)
    server = serve("--url", f"ws://127.0.0.1:{port}", "--api-key", "key", "--api-secret", "secret")
    assert server.post("/api/recording/start/" + room).status in (502, 504)
    page = until(server, lambda p: p.value("tapedeck_recordings_running") == 0, "nothing to run")
    (labels, count), = page.all("tapedeck_recordings_ended_total")
    assert count == 1 and labels["state"] == "failed", labels
    assert page.value("tapedeck_recordings_started_total") == 1
    assert not page.names_of(room)


def test_the_start_tells_what_it_found(serve, send, tapedeck):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    recorded(server)
    assert Page(server).value("tapedeck_interrupted_total") == 0
    server.process.kill()
    server.start()
    page = until(server, lambda p: p.value("tapedeck_interrupted_total") is not None, "a page")
    assert page.value("tapedeck_interrupted_total") == 1
    assert page.value("tapedeck_set_aside_total") == 0


def test_the_process_is_told_of(serve):
    server = serve()
    page = until(server, lambda p: p.value("tapedeck_disk_total_bytes"), "a look at the disk")
    with open(f"/proc/{server.pid}/status", encoding="utf-8") as status:
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024
    assert abs(page.value("process_resident_memory_bytes") - resident) < 4 << 20
    assert abs(page.value("process_open_fds")
               - len(os.listdir(f"/proc/{server.pid}/fd"))) <= 3  # the scrape's own among them
    assert 0 < time.time() - page.value("process_start_time_seconds") < 120
    space = os.statvfs(server.data)
    assert page.value("tapedeck_disk_total_bytes") == space.f_blocks * space.f_frsize
    assert 0 < page.value("tapedeck_disk_free_bytes") <= space.f_bfree * space.f_frsize * 1.5
    for name in ("tapedeck_catalog_unwritten", "tapedeck_scribe_errors_total",
                 "tapedeck_webhook_pending"):
        assert page.value(name) == 0, name
    assert page.value("tapedeck_memory_budget_bytes") == 1024 << 20


def test_only_with_a_key(serve):
    server = serve("--token", "let-me-in")
    assert server.get("/metrics").status == 401
    assert Page(server, Authorization="Bearer let-me-in").value("tapedeck_http_unauthorized_total") == 1
    assert server.post("/metrics", Authorization="Bearer let-me-in").status == 405
