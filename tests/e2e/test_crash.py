# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any instant, then `tapedeck recover`: what was received whole is in the file."""

import pytest

from harness import media, wait
from harness import tapedeck as deck

SMALL = {"width": 640, "height": 360, "kbps": 800}
# Capture, encoder, server and network of the publisher lie between a drawn picture and its arrival.
TRANSPORT_S = 0.4


def last_number(path):
    return media.frame_numbers(path)[-1][1]


def age_of(publisher, number, at):
    """Seconds between the capture of picture `number` and the moment `at`."""
    return at - publisher.frame_time[number]


def wait_picture(publisher, number):
    wait.until(lambda: number in publisher.frame_time, f"picture {number} to be sent")


@pytest.mark.parametrize("codec, name", [("H264", "out.ts"), ("VP8", "out.mkv")])
@pytest.mark.parametrize("pictures", [7, 40, 101])
def test_killed_then_recovered(publish, tapedeck, room, out, codec, name, pictures,
                               record_property):
    alice = publish(room, codec=codec, **SMALL)
    path = out / name
    recording = tapedeck.record(room, path)
    live = deck.growing(path)
    recording.wait_growth(live, more=50_000)
    # So many pictures later: an instant that has nothing to do with the recorder's own rhythm.
    wait_picture(alice, max(alice.frame_time) + pictures)
    killed_at = recording.kill()

    # As it lies: playable, at most a second short.
    assert set(media.codecs(live)) == {"video", "audio"}
    as_it_lies = last_number(live)
    lost_s = age_of(alice, as_it_lies, killed_at)
    record_property("as it lies after kill -9, ms behind the camera", round(lost_s * 1000))
    assert lost_s < 1.0 + TRANSPORT_S

    result = tapedeck.run("recover", live)
    assert result.code == deck.DONE, result
    assert result.out.strip() or result.err.strip(), "it does not say what it kept"
    recovered = deck.whole_or_growing(path)
    media.assert_decodes(recovered)
    numbers = media.frame_numbers(recovered)
    media.assert_continuous(numbers)
    assert numbers[-1][1] >= as_it_lies
    lost_s = age_of(alice, numbers[-1][1], killed_at)
    record_property("recovered after kill -9, ms behind the camera", round(lost_s * 1000))
    assert lost_s < 0.1 + TRANSPORT_S
    assert tapedeck.run("verify", recovered).code == deck.DONE


def test_recover_twice_changes_nothing(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=100_000)
    recording.kill()
    assert tapedeck.run("recover", deck.growing(path)).code == deck.DONE
    recovered = deck.whole_or_growing(path)
    with open(recovered, "rb") as f:
        first = f.read()
    assert tapedeck.run("recover", recovered).code == deck.DONE
    with open(deck.whole_or_growing(path), "rb") as f:
        assert f.read() == first


def test_dry_run_touches_nothing(publish, tapedeck, room, out):
    publish(room, codec="VP8", **SMALL)
    path = out / "out.mkv"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=100_000)
    recording.kill()
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    result = tapedeck.run("recover", "--dry-run", deck.growing(path))
    assert result.code == deck.DONE, result
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_running_recording_is_not_recovered(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=50_000)
    result = tapedeck.run("recover", deck.growing(path))
    assert result.code != deck.DONE, result
    result.sentence()
    recording.wait_growth(deck.growing(path), more=50_000)
    assert recording.interrupt().code == deck.DONE
    media.assert_decodes(path)


def test_a_new_recording_recovers_what_the_killed_one_left(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=100_000)
    recording.kill()
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "3s"))
    assert result.code == deck.DONE, result
    files = sorted(p for p in out.iterdir() if p.suffix == ".ts")
    assert len(files) == 2 and not any(".recording." in p.name for p in files), files
    for file in files:
        media.assert_decodes(file)


def test_a_second_signal_leaves_at_once_with_a_valid_file(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    recording = tapedeck.record(room, path)
    recording.wait_growth(deck.growing(path), more=100_000)
    recording.send(2)
    if recording.alive():
        recording.send(2)
    recording.wait(10)
    tapedeck.run("recover", deck.whole_or_growing(path))
    media.assert_decodes(deck.whole_or_growing(path))


def test_verify_finds_damage(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    path = out / "out.ts"
    result = tapedeck.run(*tapedeck.record_args(room, path, "--duration", "4s"))
    assert result.code == deck.DONE, result
    assert tapedeck.run("verify", path).code == deck.DONE
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    del data[middle:middle + 188 * 7 + 60]
    path.write_bytes(data)
    result = tapedeck.run("verify", path)
    assert result.code == deck.DAMAGED, result
    assert tapedeck.run("verify", "--json", path).json_lines()
