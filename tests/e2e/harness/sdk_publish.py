# SPDX-License-Identifier: Apache-2.0
"""A participant made of the official Python SDK, as a process of its own.

usage: sdk_publish.py '{"url", "token", "codec", "width", "height", "fps", "kbps", "video", "audio"}'
Says what happens as JSON lines on stdout: {"event": "published"}, then {"event": "frame", "number",
"time"} for each captured frame (CLOCK_MONOTONIC seconds). Takes orders on stdin, a word a line:
mute-video, unmute-video, mute-audio, unmute-audio, stop. Ends when stdin closes."""

import asyncio
import json
import sys
import time

from livekit import rtc

from harness import pattern


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def send_video(source, options, start):
    picture = pattern.Picture(options["width"], options["height"])
    number = 0
    while True:
        due = start + number / options["fps"]
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        data = picture.draw(number)
        frame = rtc.VideoFrame(options["width"], options["height"], rtc.VideoBufferType.I420, data)
        source.capture_frame(frame, timestamp_us=int((due - start) * 1e6))
        say("frame", number=number, time=time.monotonic())
        number += 1


async def send_audio(source, start):
    block = pattern.RATE_HZ // 100
    at = 0
    while True:
        await asyncio.sleep(max(0.0, start + at / pattern.RATE_HZ - time.monotonic()))
        data = pattern.sound(at, block).tobytes()
        await source.capture_frame(rtc.AudioFrame(data, pattern.RATE_HZ, 1, block))
        at += block


async def publish_video(room, options, start):
    source = rtc.VideoSource(options["width"], options["height"])
    track = rtc.LocalVideoTrack.create_video_track("camera", source)
    publish = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False,
        video_codec=getattr(rtc.VideoCodec, options["codec"]),
        video_encoding=rtc.VideoEncoding(max_framerate=options["fps"],
                                         max_bitrate=options["kbps"] * 1000))
    await room.local_participant.publish_track(track, publish)
    return track, asyncio.create_task(send_video(source, options, start))


async def publish_audio(room, start):
    # Without a queue sound goes straight into the encoder: with one, a machine that stood still for a
    # moment leaves it late for ever.
    source = rtc.AudioSource(pattern.RATE_HZ, 1, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    publish = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
    await room.local_participant.publish_track(track, publish)
    return track, asyncio.create_task(send_audio(source, start))


async def main(options):
    room = rtc.Room()
    gone = asyncio.Event()
    room.on("disconnected", lambda reason: gone.set())
    await room.connect(options["url"], options["token"])
    start = time.monotonic() + 0.1
    tracks, tasks = {}, []
    if options["audio"]:
        tracks["audio"], task = await publish_audio(room, start)
        tasks.append(task)
    if options["video"]:
        tracks["video"], task = await publish_video(room, options, start)
        tasks.append(task)
    say("published", identity=room.local_participant.identity)

    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)

    async def obey():
        while line := (await orders.readline()).decode().strip():
            if line == "stop":
                return
            verb, kind = line.split("-")
            getattr(tracks[kind], verb)()
            say("obeyed", order=line)

    waits = [asyncio.create_task(obey()), asyncio.create_task(gone.wait()), *tasks]
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    await room.disconnect()
    say("left", by="room" if gone.is_set() else "order")
    for task in done:
        task.result()


asyncio.run(main(json.loads(sys.argv[1])))
