# SPDX-License-Identifier: Apache-2.0
"""The daemon over HTTP: WHIP ingest, the short form's calls, and who is let in."""

import http.client
import os

import pytest

from harness import daemon, killing, media, wait
from harness import tapedeck as deck

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
KEY_FOR_ALL = {"Authorization": "Bearer let-me-in"}


@pytest.fixture
def serve(tapedeck, tmp_path):
    """serve(*options): a daemon."""
    started = []

    def make(*options):
        data = tmp_path / f"data-{len(started)}"
        started.append(daemon.Serve(tapedeck, data, *options))
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


def check(tapedeck, path, video, extension):
    """A whole file: every picture between the first and the last, sound where it belongs."""
    assert path.endswith("." + extension)
    assert media.codecs(path) == {"video": video, "audio": "opus"}
    media.assert_decodes(path)
    seen, code = killing.verify(tapedeck, path)
    assert not killing.faults(seen, code), seen
    pattern = seen["pattern"]
    assert pattern["frames"] == pattern["readable"] > 0
    assert pattern["pairs"] >= 2 and pattern["skew_p95_ms"] <= 20, pattern
    return seen


def wait_bytes(server, more=200_000):
    path = server.wait_growing()
    server.process.wait_growth(path, more=more)
    return path


@pytest.mark.parametrize("codec, extension", [("h264", "ts"), ("vp8", "mkv")])
def test_a_publisher_is_recorded(serve, send, tapedeck, codec, extension, record_property):
    server = serve("--format", "auto")
    alice = send(server.url + "/whip/room", "--video", codec)
    alice.wait_sending()
    wait_bytes(server, 400_000)
    assert server.wait_state("room", "recording")["outputs"]
    assert alice.stop() == deck.DONE  # it says goodbye with DELETE
    server.wait_state("room", "complete")
    path, = server.finished_files()
    assert not server.growing_files()
    seen = check(tapedeck, path, codec, extension)
    record_property("sound and picture apart, p95 ms", seen["pattern"]["skew_p95_ms"])


def test_the_session_can_be_deleted(serve, send, tapedeck):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    live = wait_bytes(server, 400_000)
    session = "/whip/room/" + server.get("/api/recording/status/room").json()["whip_session"]
    assert daemon.call("DELETE", server.url + session).status == 200
    final = live.replace(".recording.", ".")
    server.process.wait_for(lambda: os.path.exists(final), "the file to be finished")
    check(tapedeck, final, "h264", "ts")
    server.process.wait_for(
        lambda: daemon.call("DELETE", server.url + session).status == 404, "the session to be over")


def test_a_second_publisher_in_the_same_room(serve, send, tapedeck):
    server = serve()
    publishers = [send(server.url + "/whip/room"), send(server.url + "/whip/room")]
    for one in publishers:
        one.wait_sending()
    paths = server.process.wait_for(lambda: len(server.growing_files()) == 2 and
                                    server.growing_files(), "both files")
    for path in paths:
        server.process.wait_growth(path, more=200_000)
    assert server.get("/healthz").json()["recordings"] == 2
    for one in publishers:
        assert one.stop() == deck.DONE
    finished = server.process.wait_for(lambda: len(server.finished_files()) == 2 and
                                       server.finished_files(), "both to be finished")
    for path in finished:
        check(tapedeck, path, "h264", "ts")


def test_the_daemon_ends_with_whole_files(serve, send, tapedeck):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    wait_bytes(server, 300_000)
    result = server.process.interrupt()
    assert result.code == deck.DONE, result
    path, = server.finished_files()
    check(tapedeck, path, "h264", "ts")


def test_nobody_comes_in_without_the_token(serve, send, tapedeck):
    server = serve("--token", "let-me-in")
    refused = tapedeck.run("publish", "--whip", server.url + "/whip/room", *killing.SMALL)
    assert refused.code == deck.REFUSED, refused
    refused.sentence()
    for method, path in [("POST", "/whip/room"), ("DELETE", "/whip/room/rec_x"),
                         ("POST", "/api/recording/start/room"), ("GET", "/api/recordings"),
                         ("POST", "/api/recording/stop/room"),
                         ("GET", "/api/recording/status/room")]:
        assert daemon.call(method, server.url + path).status == 401, path
        answer = daemon.call(method, server.url + path, headers={"Authorization": "Bearer guess"})
        assert answer.status == 401, path
        assert answer.json()["code"] == "unauthorized"
    assert server.get("/healthz").status == 200
    assert server.get("/api/recordings", **KEY_FOR_ALL).json()["recordings"] == []
    send(server.url + "/whip/room", "--whip-token", "let-me-in").wait_sending()
    wait_bytes(server, 50_000)
    assert len(server.get("/api/recordings", **KEY_FOR_ALL).json()["recordings"]) == 1


@pytest.mark.parametrize("offer", [
    b"", b"hello", b"v=0\r\n", b"v=0\r\n" * 2000, b"\x00\xff" * 100,
    b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"])
def test_a_bad_offer_is_refused(serve, offer):
    server = serve()
    answer = server.post("/whip/room", offer, **SDP)
    assert answer.status == 422, answer
    assert answer.json()["code"] == "bad_offer" and answer.json()["detail"]
    wait.until(lambda: server.get("/healthz").json()["recordings"] == 0, "nothing to run")
    assert not server.growing_files() and not server.finished_files()


def test_only_sdp_is_an_offer(serve):
    server = serve()
    answer = server.post("/whip/room", b"{}", **{"Content-Type": "application/json"})
    assert (answer.status, answer.json()["code"]) == (415, "not_sdp")
    assert server.get("/whip/room").status == 405
    answer = daemon.call("OPTIONS", server.url + "/whip/room")
    assert answer.status == 204 and answer.headers["Accept-Post"] == "application/sdp"


def test_candidates_may_come_later(serve, send):
    server = serve()
    send(server.url + "/whip/room").wait_sending()
    live = wait_bytes(server, 50_000)
    session = server.url + "/whip/room/" + \
        server.get("/api/recording/status/room").json()["whip_session"]
    fragment = (b"a=mid:0\r\n"
                b"a=candidate:7 1 udp 2122260223 127.0.0.1 9 typ host\r\n"
                b"a=end-of-candidates\r\n")
    assert daemon.call("PATCH", session, fragment, FRAGMENT).status == 204
    answer = daemon.call("PATCH", session, fragment, SDP)
    assert (answer.status, answer.json()["code"]) == (415, "not_a_fragment")
    assert daemon.call("PATCH", session, b"a=candidate:rubbish\r\n", FRAGMENT).status in (204, 400)
    answer = daemon.call("PATCH", server.url + "/whip/room/whs_nobody", fragment, FRAGMENT)
    assert (answer.status, answer.json()["code"]) == (404, "no_such_session")
    server.process.wait_growth(live, more=50_000)  # none of it disturbed the recording


def test_the_short_form(serve, publish, livekit, tapedeck, room):
    from harness.livekit import KEY, SECRET
    server = serve("--url", livekit.url, "--api-key", KEY, "--api-secret", SECRET)
    assert server.get("/api/recording/status/" + room).status == 404
    assert server.post("/api/recording/stop/" + room).status == 404
    publish(room, codec="H264", width=640, height=360, kbps=800)
    started = server.post("/api/recording/start/" + room)
    assert started.status == 201, started
    assert started.json()["room"] == room
    assert {"id", "room", "state", "reason", "outputs"} <= started.json().keys()
    again = server.post("/api/recording/start/" + room)
    assert (again.status, again.json()["id"]) == (200, started.json()["id"])
    wait_bytes(server, 200_000)
    status = server.wait_state(room, "recording")
    assert {"file", "bytes", "duration_ms"} <= status["outputs"][0].keys()
    assert server.get("/api/recordings/" + status["id"]).json()["id"] == status["id"]
    shown = tapedeck.run("status", room, "--server", server.url)
    assert shown.code == deck.DONE and status["id"] in shown.out, shown
    assert server.post("/api/recording/stop/" + room).status == 200
    assert server.wait_state(room, "complete")["reason"] == "stopped"
    path, = server.finished_files()
    media.assert_decodes(path)
    media.assert_continuous(media.frame_numbers(path))


def test_a_start_that_cannot_be_says_why(serve, tapedeck, room):
    answer = serve().post("/api/recording/start/" + room)
    assert answer.status == 400 and "--url" in answer.json()["detail"], answer
    port, = wait.free_ports(1)
    server = serve("--url", f"ws://127.0.0.1:{port}", "--api-key", "key", "--api-secret", "secret")
    answer = server.post("/api/recording/start/" + room)
    assert answer.status in (502, 504) and len(answer.json()["detail"].split()) >= 3, answer
    called = tapedeck.run("start", room, "--server", server.url)
    assert called.code == deck.REFUSED, called
    called.sentence()


def test_health_and_unknown_paths(serve):
    server = serve()
    health = server.get("/healthz").json()
    assert health["status"] == "ok" and health["recordings"] == 0 and health["version"]
    assert server.get("/nothing").status == 404
    assert server.post("/healthz").status == 405
    assert server.get("/healthz/deeper").status == 404


def test_requests_cost_no_descriptors(serve):
    """From clients that keep their connection open after the answer, and then just close it."""
    server = serve()

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = descriptors()
    for _ in range(20):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        client.request("GET", "/healthz", headers={"Connection": "keep-alive"})
        assert client.getresponse().read()
        client.close()
    wait.until(lambda: descriptors() <= before + 2, lambda: f"{before} again, not {descriptors()}")


def test_one_daemon_a_folder(serve, tapedeck):
    server = serve()
    second = tapedeck.run("serve", "--listen", "127.0.0.1:0", "--data-dir", server.data)
    assert second.code == deck.STORAGE, second
    second.sentence()
