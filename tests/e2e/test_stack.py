# SPDX-License-Identifier: Apache-2.0
"""The ground the other tests stand on: the server, the official publisher, the numbers it draws.
A failure here is not the recorder's."""

import asyncio
import subprocess

import numpy
import pytest
from livekit import rtc

from harness import media, pattern, wait


def test_pattern_is_read_back_from_its_own_picture():
    for number in (0, 1, 29, 12345, 65535):
        picture = pattern.Picture(640, 360)
        luma = numpy.frombuffer(picture.draw(number), numpy.uint8)[:640 * 360].reshape(360, 640)
        cells = luma[:picture.cell].mean(axis=0).reshape(pattern.CELLS, -1).mean(axis=1)
        assert pattern.number_of(cells) == number


def test_pattern_refuses_a_damaged_strip():
    cells = numpy.array(pattern.bits_of(7)) * 200 + 20
    cells[10] = 240 - cells[10]
    assert pattern.number_of(cells) is None


def make_file(path, frames, delay_s=0.0, leave_out=()):
    """A file like a recording of the pattern: 30 pictures and one beep a second, sound `delay_s` late."""
    picture = pattern.Picture(640, 360)
    sound = path.with_suffix(".s16")
    late = numpy.zeros(int(delay_s * pattern.RATE_HZ), numpy.int16)
    sound.write_bytes(late.tobytes() + pattern.sound(0, frames * pattern.RATE_HZ // 30).tobytes())
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "640x360", "-r",
               "30", "-i", "-", "-f", "s16le", "-ar", str(pattern.RATE_HZ), "-ac", "1", "-i",
               str(sound), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-c:a", "libopus",
               str(path)]
    data = b"".join(picture.draw(n) for n in range(frames) if n not in leave_out)
    subprocess.run(command, input=data, check=True, timeout=60)


@pytest.mark.parametrize("name", ["file.ts", "file.mkv"])
def test_the_judges_judge(tmp_path, name):
    path = tmp_path / name
    make_file(path, 150)
    media.assert_decodes(path)
    assert media.codecs(path) == {"video": "h264", "audio": "opus"}
    numbers = media.frame_numbers(path)
    assert [n for _, n in numbers] == list(range(150))
    media.assert_continuous(numbers, 0)
    skews = media.skews_s(path, 30)
    assert len(skews) == 5 and max(map(abs, skews)) < 0.010, skews


def test_the_judges_find_faults(tmp_path):
    path = tmp_path / "late.mkv"
    make_file(path, 90, delay_s=0.1, leave_out=(50,))
    assert all(0.090 < s < 0.150 for s in media.skews_s(path, 30))
    with pytest.raises(AssertionError, match="1 pictures missing"):
        media.assert_continuous(media.frame_numbers(path), 0)
    torn = tmp_path / "torn.mkv"
    data = path.read_bytes()
    torn.write_bytes(data[:len(data) // 3] + bytes(3000) + data[len(data) // 3 + 3000:])
    with pytest.raises(AssertionError):
        media.assert_decodes(torn)


async def watch(url, token, frames):
    """What a subscriber made of the official SDK sees: picture numbers, and peaks of sound."""
    room, numbers, peaks, tasks = rtc.Room(), [], [], []

    async def see(track):
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            frame = event.frame
            luma = numpy.frombuffer(frame.data, numpy.uint8)[:frame.width * frame.height]
            strip = luma.reshape(frame.height, frame.width)[:frame.width // pattern.CELLS]
            numbers.append(pattern.number_of(strip.mean(axis=0).reshape(pattern.CELLS, -1)
                                             .mean(axis=1)))

    async def hear(track):
        async for event in rtc.AudioStream(track, sample_rate=48000, num_channels=1):
            peaks.append(int(numpy.abs(numpy.frombuffer(event.frame.data, numpy.int16)
                                       .astype(int)).max()))

    def subscribed(track, publication, participant):
        is_video = track.kind == rtc.TrackKind.KIND_VIDEO
        tasks.append(asyncio.create_task((see if is_video else hear)(track)))

    room.on("track_subscribed", subscribed)
    await room.connect(url, token)
    try:
        async with asyncio.timeout(30):
            while len([n for n in numbers if n is not None]) < frames or max(peaks, default=0) < 3000:
                await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await room.disconnect()
    return numbers, peaks


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_the_publisher_is_seen_and_heard(livekit, publish, room, codec):
    publish(room, codec=codec)
    numbers, peaks = asyncio.run(watch(livekit.url, livekit.token(room, "viewer"), 30))
    seen = [n for n in numbers if n is not None]
    assert seen == sorted(seen) and len(set(seen)) == len(seen)
    assert max(peaks) > 3000

    tracks = {t.mime_type.lower(): t for t in livekit.participants(room)["alice"].tracks}
    assert set(tracks) == {f"video/{codec.lower()}", "audio/opus"} or \
        set(tracks) == {f"video/{codec.lower()}", "audio/red"}


def test_a_publisher_obeys_and_leaves_with_its_room(livekit, publish, room):
    alice = publish(room, video=False)
    alice.order("mute-audio")
    wait.until(lambda: any(t.muted for t in livekit.participants(room)["alice"].tracks),
               "the mute to be known")
    livekit.delete_room(room)
    assert alice.wait("left")["by"] == "room"
