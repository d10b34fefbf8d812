# SPDX-License-Identifier: Apache-2.0
"""The promise, in a short form: killed at random instants, at most a second is missing as the file
lies, and at most 100 ms once recovered. tests/bench/kill-torture is the long form."""

import pytest

from harness import killing

SEED = 20261121
KILLS = 3


@pytest.fixture(params=["serve", "record"])
def runs(request, tapedeck, tmp_path):
    print(f"seed {SEED}")  # shown by pytest when a test fails
    kind = killing.ByServe if request.param == "serve" else killing.ByRecord
    return killing.torture(kind(tapedeck, str(tmp_path)), tapedeck, str(tmp_path), KILLS, SEED,
                           shortest_s=1.0, longest_s=3.0)


def test_what_a_kill_costs(runs, record_property):
    assert {run["format"] for run in runs} == {"ts", "mkv"}
    for state, limit_ms in (("as_it_lies", 1000), ("recovered", 100)):
        for name in ("pictures_lost_ms", "sound_lost_ms"):
            lost = [run[state][name] for run in runs]
            record_property(f"{state} {name}", lost)
            assert max(lost) <= limit_ms, runs
    for run in runs:
        assert run["ffprobe_reads"], run
        assert run["named"], run
        assert not run["faults"], run
        assert run["recovered"]["frames"] >= run["as_it_lies"]["frames"], run
