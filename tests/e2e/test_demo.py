# SPDX-License-Identifier: Apache-2.0
"""`tapedeck demo`, as a person would see it first."""

import os
import signal

import pytest

from harness import tapedeck as deck
from harness import wait


@pytest.fixture
def tour(tapedeck, tmp_path):
    """tour(): a demo that begins, with a temporary folder of its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    tapedeck.env["TMPDIR"] = str(temporary)
    tapedeck.temporary = temporary
    return lambda: tapedeck.spawn("demo")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_tour_passes_and_leaves_nothing(tour, tapedeck):
    result = tour().wait(120)
    assert result.code == deck.DONE, result
    lines = result.out.splitlines()
    assert lines[-1].startswith("demo: PASSED"), result
    assert all(len(line) <= 80 or str(tapedeck.temporary) in line for line in lines), result
    assert "\033" not in result.out and "\r" not in result.out
    assert not list(tapedeck.temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_it_its_actors_end_too(tour, tapedeck, number):
    demo = tour()
    demo.wait_for(lambda: "3. It records" in demo.result().out, "the recording", 60)
    actors = children_of(demo.process.pid)
    assert len(actors) == 2
    demo.send(number)
    result = demo.wait(20)
    wait.until(lambda: all(gone(pid) for pid in actors), "its processes to end")
    if number != signal.SIGKILL:
        assert result.code == deck.FAILED and "demo: FAILED: interrupted" in result.out, result
        assert not list(tapedeck.temporary.iterdir())


def test_a_missing_tool_is_a_failure(tour, tapedeck, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    tapedeck.env["PATH"] = str(empty)
    result = tour().wait(60)
    assert result.code == deck.FAILED, result
    assert result.out.splitlines()[-1] == "demo: FAILED: ffprobe is not installed", result
    assert not os.listdir(tapedeck.temporary)
