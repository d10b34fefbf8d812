# SPDX-License-Identifier: Apache-2.0
"""Whatever happens, catalogue, manifests, API and files agree in the end, and every job has ended;
and many recordings may begin at once. tests/bench/daemon-torture and start-many are the long
forms."""

from harness import daemon, many, torture

SEED = 20261121
ROUNDS = 6
ROOMS = 8


def test_everything_agrees_in_the_end(tapedeck, tmp_path):
    print(f"seed {SEED}")  # shown by pytest when a test fails
    runs, counts = torture.torture(tapedeck, str(tmp_path), ROUNDS, SEED)
    problems = {run["round"]: (torture.plan(SEED, run["round"]), run["problems"])
                for run in runs if run["problems"]}
    assert not problems, problems
    assert counts["kill"] >= 3 and counts["restart"] >= 1 and counts["files verified"] >= 10, counts
    assert sum(run["interruptions"] for run in runs) >= 3, runs


def test_many_begin_at_once(tapedeck, livekit, tmp_path, record_property):
    rooms = [f"many-{number}" for number in range(ROOMS)]
    server = daemon.Serve(tapedeck, tmp_path / "data", "-c", many.settings(str(tmp_path), livekit))
    senders = many.publishers(tapedeck, livekit, str(tmp_path), rooms)
    answers, first, _ = many.start_all(server, rooms)
    record_property("answers, ms", [round(ms) for ms in answers])
    record_property("first bytes, ms", [round(ms) for ms in first.values()])
    assert max(answers) <= many.LIMIT_MS, answers
    many.stop_all(server, rooms)
    assert len(server.finished_files()) == ROOMS
    many.end(senders)
