# SPDX-License-Identifier: Apache-2.0
"""FFmpeg as the independent judge of what lies on disk."""

import json
import subprocess

import numpy

from harness import pattern

# The publisher's own encoder leaves out a picture or two while it finds its bit rate. A picture that
# the recorder lost would be heard of otherwise: FFmpeg reports the gap in H.264's frame numbers.
ENCODER_DROPS = 3


def _run(*args):
    run = subprocess.run([str(a) for a in args], capture_output=True, stdin=subprocess.DEVNULL,
                         timeout=120, check=False)
    return run.returncode, run.stdout, run.stderr.decode(errors="replace")


def probe(path):
    """ffprobe's streams and format; fails when ffprobe cannot read the file."""
    code, out, err = _run("ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json",
                          path)
    assert code == 0, f"ffprobe {path}: {err}"
    return json.loads(out)


def codecs(path):
    """{"video": "h264", "audio": "opus"}"""
    return {s["codec_type"]: s["codec_name"] for s in probe(path)["streams"]}


def duration_s(path):
    return float(probe(path)["format"]["duration"])


def packets(path, kind):
    """(pts in seconds, is key frame) of each packet of the first `video` or `audio` stream."""
    code, out, err = _run("ffprobe", "-v", "error", "-select_streams", kind[0] + ":0",
                          "-show_entries", "packet=pts_time,flags", "-of", "json", path)
    assert code == 0, f"ffprobe {path}: {err}"
    rows = json.loads(out).get("packets", [])
    return [(float(r["pts_time"]), "K" in r["flags"]) for r in rows if "pts_time" in r]


def assert_decodes(path):
    """Every stream decodes without one word of complaint, and its time never stands or steps back.
    (The null muxer gets the stream's own time base: rounding to a frame rate would make it complain
    about pictures that are merely not evenly spaced.)"""
    code, _, err = _run("ffmpeg", "-v", "warning", "-nostdin", "-i", path, "-map", "0",
                        "-enc_time_base", "-1", "-f", "null", "-")
    assert code == 0 and not err.strip(), f"ffmpeg on {path} (exit {code}):\n{err[:4000]}"
    for kind in codecs(path):
        times = [time for time, _ in packets(path, kind)]
        back = [(a, b) for a, b in zip(times, times[1:]) if b <= a]
        assert times and not back, f"{kind} of {path}: time steps back at {back[:5]}"


def frame_numbers(path):
    """(pts in seconds, number drawn in it or None) of each decoded picture, in order."""
    cells = pattern.CELLS
    code, out, err = _run("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:v:0", "-vf",
                          f"crop=iw:iw/{cells}:0:0,scale={cells}:1:flags=area,format=gray",
                          "-fps_mode", "passthrough", "-f", "rawvideo", "-")
    assert code == 0, f"ffmpeg {path}: {err}"
    rows = numpy.frombuffer(out, numpy.uint8).reshape(-1, cells)
    code, out, err = _run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                          "frame=pts_time", "-of", "csv=p=0", path)
    assert code == 0, f"ffprobe {path}: {err}"
    times = [float(line.split(",")[0]) for line in out.decode().split() if line[0].isdigit()]
    assert len(times) == len(rows), f"{len(times)} times for {len(rows)} pictures"
    return [(t, pattern.number_of(row)) for t, row in zip(times, rows)]


def assert_continuous(numbers, most_missing=ENCODER_DROPS):
    """Numbers rise, each can be read, and at most `most_missing` are left out."""
    values = [n for _, n in numbers]
    assert values and None not in values, f"unreadable pictures: {values[:50]}"
    steps = [b - a for a, b in zip(values, values[1:])]
    assert all(step >= 1 for step in steps), f"pictures out of order: {values}"
    missing = sum(step - 1 for step in steps)
    assert missing <= most_missing, f"{missing} pictures missing: {values}"


def beep_times(path):
    """Seconds at which a beep begins, on the file's own time line (sound is padded from 0)."""
    code, out, err = _run("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:a:0", "-af",
                          "aresample=async=1:first_pts=0", "-ac", "1", "-ar", pattern.RATE_HZ, "-f",
                          "s16le", "-copyts", "-")
    assert code == 0, f"ffmpeg {path}: {err}"
    loud = numpy.abs(numpy.frombuffer(out, numpy.int16).astype(int)) > 3000
    at = numpy.flatnonzero(loud)
    if not at.size:
        return []
    gap = pattern.RATE_HZ // 4
    first = at[numpy.concatenate([[True], numpy.diff(at) > gap])]
    return [sample / pattern.RATE_HZ for sample in first]


def skews_s(path, fps):
    """Beep time minus the time of the picture that belongs to it, for each beep with a picture."""
    flashes = [t for t, n in frame_numbers(path) if n is not None and n % fps == 0]
    skews = []
    for beep in beep_times(path):
        near = min(flashes, key=lambda t: abs(t - beep), default=None)
        if near is not None and abs(near - beep) < 0.45:
            skews.append(beep - near)
    return skews
