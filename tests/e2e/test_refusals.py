# SPDX-License-Identifier: Apache-2.0
"""What `tapedeck record` refuses, and how: an exit code of the contract and one readable sentence."""

import os

import pytest

from harness import media, wait
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

SMALL = {"width": 640, "height": 360, "kbps": 800}


def test_help_is_not_an_error(tapedeck):
    for words in (["--help"], ["record", "--help"], ["recover", "--help"], ["verify", "--help"]):
        result = tapedeck.run(*words)
        assert result.code == deck.DONE, result
        assert "--" in result.out and not result.err, result


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["record"], ["record", "--nonsense"], ["verify"], ["recover"]])
def test_wrong_usage(tapedeck, words):
    result = tapedeck.run(*words)
    assert result.code == deck.USAGE, result
    assert result.err.strip()


def test_a_room_must_be_named(tapedeck, out):
    result = tapedeck.run("record", "--url", tapedeck.livekit.url, "--api-key", KEY, "--api-secret",
                          SECRET, "-o", out / "out.ts")
    assert result.code == deck.USAGE, result
    assert "room" in result.sentence()


def test_a_key_or_a_token_is_needed(tapedeck, room, out):
    result = tapedeck.run("record", "--url", tapedeck.livekit.url, "--room", room, "-o",
                          out / "out.ts")
    assert result.code == deck.USAGE, result
    result.sentence()


@pytest.mark.parametrize("duration", ["soon", "-5s", "5parsecs", ""])
def test_a_duration_must_be_one(tapedeck, room, out, duration):
    result = tapedeck.run(*tapedeck.record_args(room, out / "out.ts", "--duration", duration))
    assert result.code == deck.USAGE, result
    assert "duration" in result.err


def test_a_format_must_be_known(tapedeck, room, out):
    result = tapedeck.run(*tapedeck.record_args(room, out / "out", "--format", "avi"))
    assert result.code == deck.USAGE, result
    assert "avi" in result.err


@pytest.mark.parametrize("wrong", [{"key": "nobody"}, {"secret": "x" * 40}])
def test_a_wrong_key_is_refused(tapedeck, room, out, wrong):
    result = tapedeck.run(*tapedeck.record_args(room, out / "out.ts", **wrong))
    assert result.code == deck.REFUSED, result
    result.sentence()
    assert not list(out.iterdir())


def test_a_token_for_another_room_is_refused(tapedeck, livekit, room, out):
    token = livekit.token("elsewhere", "recorder", key="nobody")
    result = tapedeck.run("record", "--url", livekit.url, "--room", room, "--token", token, "-o",
                          out / "out.ts")
    assert result.code == deck.REFUSED, result


@pytest.mark.parametrize("url", ["foo://127.0.0.1", "not a url", "ws://", ""])
def test_a_wrong_url_is_usage(tapedeck, room, out, url):
    args = tapedeck.record_args(room, out / "out.ts")
    args[args.index("--url") + 1] = url
    result = tapedeck.run(*args)
    assert result.code == deck.USAGE, result
    result.sentence()


def test_nobody_at_the_url(tapedeck, room, out):
    port, = wait.free_ports(1)
    result = tapedeck.run(*tapedeck.record_args(room, out / "out.ts",
                                                url=f"ws://127.0.0.1:{port}"))
    assert result.code == deck.REFUSED, result
    assert str(port) in result.sentence() or "127.0.0.1" in result.err


def test_an_existing_file_is_refused_unless_forced(publish, tapedeck, room, out):
    path = out / "out.ts"
    path.write_bytes(b"precious")
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "3s"))
    assert result.code == deck.USAGE, result
    assert path.read_bytes() == b"precious" and "out.ts" in result.sentence()

    publish(room, codec="H264", **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "3s", "--force"))
    assert result.code == deck.DONE, result
    media.assert_decodes(path)


def test_a_codec_the_container_cannot_hold_is_said_at_once(publish, tapedeck, room, out):
    publish(room, codec="VP8", **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, out / "out.ts", "--duration", "5s"))
    assert result.code != deck.DONE, result
    assert "vp8" in result.sentence().lower()


def test_a_second_recorder_on_the_same_file_is_refused(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    first = tapedeck.record(room, path)
    first.wait_growth(deck.growing(path))
    second = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "3s"))
    assert second.code in (deck.USAGE, deck.STORAGE), second
    second.sentence()
    first.wait_growth(deck.growing(path), more=50000)
    assert first.interrupt().code == deck.DONE
    media.assert_decodes(path)
    media.assert_continuous(media.frame_numbers(path))


def test_the_environment_of_lk_is_read(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    tapedeck.env.update(LIVEKIT_URL=tapedeck.livekit.url, LIVEKIT_API_KEY=KEY,
                        LIVEKIT_API_SECRET=SECRET)
    path = out / "out.ts"
    result = tapedeck.run("record", "--room", room, "-o", path, "--duration", "3s")
    assert result.code == deck.DONE, result
    assert os.path.getsize(path) > 0
