# SPDX-License-Identifier: Apache-2.0
"""Folders that cannot be written and disks that fill up: exit 4, and what was stored stays valid."""

import os
import shutil
import subprocess

import pytest

from harness import media
from harness import tapedeck as deck

SMALL = {"width": 640, "height": 360, "kbps": 800}
# In a mount namespace of its own: $1 becomes a disk of $2 bytes, the rest runs, and what lies on that
# disk is copied to $3 afterwards. Nothing has to be unmounted.
SMALL_DISK = """
mount -t tmpfs -o size="$2" tapedeck-test "$1" || exit 99
disk=$1 keep=$3
shift 3
"$@"
code=$?
cp -r "$disk/." "$keep/"
exit "$code"
"""


def on_small_disk(folder, size, keep):
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Ur", "--mount"]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no mount namespaces here: " + probe.stderr.decode().strip())
    return [*command, "sh", "-c", SMALL_DISK, "small-disk", str(folder), str(size), str(keep)]


def test_a_folder_that_does_not_exist(publish, tapedeck, room, out):
    publish(room, codec="H264", **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, out / "none" / "out.ts", "--duration", "3s"))
    assert result.code == deck.STORAGE, result
    assert "none" in result.sentence()


def test_a_folder_that_cannot_be_written(publish, tapedeck, room, tmp_path):
    publish(room, codec="H264", **SMALL)
    # Nobody, root included, makes files here.
    result = tapedeck.run(*tapedeck.record_args(room, "/proc/out.ts", "--duration", "3s"))
    assert result.code == deck.STORAGE, result
    result.sentence()


@pytest.mark.parametrize("codec, name", [("H264", "out.ts"), ("VP8", "out.mkv")])
def test_a_full_disk_ends_with_what_it_holds(publish, tapedeck, room, out, tmp_path, codec, name):
    keep = tmp_path / "kept"
    keep.mkdir()
    publish(room, codec=codec, **SMALL)
    result = tapedeck.run(*tapedeck.record_args(room, out / name, "--duration", "60s"),
                          prefix=on_small_disk(out, 250_000, keep), seconds=60)
    assert result.code == deck.STORAGE, result
    result.sentence()
    files = [p for p in keep.iterdir() if p.suffix in (".ts", ".mkv")]
    assert len(files) == 1, list(keep.iterdir())
    copy = shutil.copy(files[0], tmp_path / name)
    media.assert_decodes(copy)
    if ".recording." in files[0].name:  # no room for its index: finished when there is room again
        assert tapedeck.run("recover", copy).code == deck.DONE
        media.assert_decodes(copy)
    media.assert_continuous(media.frame_numbers(copy))
    assert media.duration_s(copy) > 1.0
