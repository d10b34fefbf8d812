# SPDX-License-Identifier: Apache-2.0
"""`tapedeck record` against a real server and an official publisher: what ends up in the file."""

import statistics

import pytest

from harness import media
from harness import tapedeck as deck

SMALL = {"width": 640, "height": 360, "kbps": 800}
WAIT_S = 60


def check_file(path, video, audio="opus", seconds=0.0):
    assert media.codecs(path) == {"video": video, "audio": audio}
    media.assert_decodes(path)
    numbers = media.frame_numbers(path)
    media.assert_continuous(numbers)
    assert media.duration_s(path) == pytest.approx(seconds, abs=1.0)
    assert media.packets(path, "video")[0][1], "the first picture is not a key frame"
    return numbers


def test_h264_to_ts_for_a_duration(publish, tapedeck, room, out):
    publish(room, codec="H264")
    path = out / "out.ts"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "20s", "--json"),
                          seconds=WAIT_S)
    assert result.code == deck.DONE, result
    last = result.json_lines()[-1]
    assert last["lost"] == 0 and last["dropped"] == 0, result
    numbers = check_file(path, "h264", seconds=20)
    assert len(numbers) > 20 * 30 * 0.9
    assert not list(out.glob("*.recording.*"))
    streams = {s["codec_type"]: s for s in media.probe(path)["streams"]}
    assert (streams["video"]["width"], streams["video"]["height"]) == (1280, 720)


def test_vp8_to_mkv(publish, tapedeck, room, out):
    publish(room, codec="VP8", **SMALL)
    path = out / "out.mkv"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "8s"), seconds=WAIT_S)
    assert result.code == deck.DONE, result
    check_file(path, "vp8", seconds=8)
    assert "matroska" in media.probe(path)["format"]["format_name"]


@pytest.mark.parametrize("codec, extension", [("H264", "ts"), ("VP8", "mkv")])
def test_auto_chooses_the_container(publish, tapedeck, room, out, codec, extension):
    publish(room, codec=codec, **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, out / "out", "--duration", "5s"),
                          seconds=WAIT_S)
    assert result.code == deck.DONE, result
    assert [p.name for p in out.iterdir()] == [f"out.{extension}"]
    check_file(out / f"out.{extension}", codec.lower(), seconds=5)


def test_a_folder_takes_every_participant(publish, tapedeck, room, out):
    publish(room, "alice", codec="H264", **SMALL)
    publish(room, "bob", video=False)
    result = tapedeck.run(*tapedeck.record_args(room, f"{out}/", "--duration", "8s"),
                          seconds=WAIT_S)
    assert result.code == deck.DONE, result
    files = {p.stem: p for p in out.rglob("*.*") if p.suffix in (".ts", ".mkv") and p.is_file()}
    assert set(files) == {"alice", "bob"}, list(out.rglob("*"))
    assert media.codecs(files["alice"]) == {"video": "h264", "audio": "opus"}
    assert media.codecs(files["bob"]) == {"audio": "opus"}
    manifests = list(out.rglob("manifest.json"))
    assert len(manifests) == 1


def test_sound_alone_is_recorded(publish, tapedeck, room, out):
    publish(room, video=False)
    path = out / "sound.mkv"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "12s"), seconds=WAIT_S)
    assert result.code == deck.DONE, result
    assert media.codecs(path) == {"audio": "opus"}
    media.assert_decodes(path)
    assert len(media.beep_times(path)) >= 10


def test_sound_and_picture_belong_together(publish, tapedeck, room, out, record_property):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "12s"), seconds=WAIT_S)
    assert result.code == deck.DONE, result
    skews = media.skews_s(path, 30)
    assert len(skews) >= 8
    record_property("sound behind picture, ms, publisher included",
                    [round(skew * 1000) for skew in skews])
    # The publisher's own capture path is in this figure: a coarse net, not the measurement.
    assert abs(statistics.median(skews)) < 0.150, skews


def test_json_lines_are_json(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, out / "out.ts", "--duration", "3s", "--json"),
                          seconds=WAIT_S)
    assert result.code == deck.DONE, result
    lines = result.json_lines()
    assert lines and all(isinstance(line, dict) for line in lines)


def test_the_file_lives_while_it_grows(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    live = deck.growing(path)
    recording.wait_growth(live)
    for _ in range(4):
        recording.wait_growth(live, more=20000)
        assert media.codecs(live) == {"video": "h264", "audio": "opus"}
    assert not path.exists()
    assert recording.interrupt().code == deck.DONE
    assert path.exists()


def test_sigint_finishes_the_file(publish, tapedeck, room, out):
    publish(room, codec="VP8", **SMALL)
    path = out / "out.mkv"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=200000)
    result = recording.interrupt()
    assert result.code == deck.DONE, result
    media.assert_decodes(path)
    media.assert_continuous(media.frame_numbers(path))
    assert [p.name for p in out.iterdir()] == ["out.mkv"]


def test_the_end_of_the_room_finishes_the_file(livekit, publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=200000)
    livekit.delete_room(room)
    result = recording.wait(30)
    assert result.code == deck.DONE, result
    media.assert_decodes(path)


def test_a_mute_is_a_hole_and_not_an_end(publish, tapedeck, room, out):
    alice = publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    live = deck.growing(path)
    recording.wait_growth(live, more=100000)
    alice.order("mute-video")
    recording.wait_growth(live, more=5000)
    alice.order("unmute-video")
    recording.wait_growth(live, more=200000)
    result = recording.interrupt()
    assert result.code == deck.DONE, result
    assert media.codecs(path) == {"video": "h264", "audio": "opus"}
    numbers = [n for _, n in media.frame_numbers(path)]
    assert None not in numbers and numbers == sorted(numbers)


def test_who_is_recorded_can_be_named(publish, tapedeck, room, out):
    publish(room, "alice", codec="H264", **SMALL)
    publish(room, "bob", codec="VP8", **SMALL)
    path = out / "bob.mkv"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--participant", "bob", "--duration",
                                                "4s"), seconds=WAIT_S)
    assert result.code == deck.DONE, result
    check_file(path, "vp8", seconds=4)


def test_the_recorder_may_come_first(publish, tapedeck, room, out):
    path = out / "out.ts"
    recording = tapedeck.record(room, path, "--duration", "5s")
    recording.wait_for(lambda: len(tapedeck.livekit.participants(room)) == 1, "it to join")
    publish(room, codec="H264", **SMALL)
    result = recording.wait(WAIT_S)
    assert result.code == deck.DONE, result
    check_file(path, "h264", seconds=5)
