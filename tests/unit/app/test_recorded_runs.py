"""Which run is meant, and what is offered when none is."""

from __future__ import annotations

import pytest

from asyncrun.app.recorded_runs import find_run, job_names
from asyncrun.errors import UnknownRunError
from asyncrun.trace.run_record import RunRecord, Span

IDS = ["20261122-021500-0a01", "20261123-021500-0b02", "20261123-031500-0c03", "20261124-021500-4f2a"]
RUNS = [RunRecord(run_id, float(number), None, "running", None, None, None, "1", "here") for number, run_id in enumerate(IDS)]


@pytest.mark.parametrize(
    ("words", "index"),
    [("latest", 3), ("latest~0", 3), ("latest~3", 0), (IDS[1], 1), ("20261122", 0), ("20261123-03", 2)],
)
def test_found(words: str, index: int) -> None:
    assert find_run(RUNS, words).run_id == IDS[index]


def test_the_latest_is_the_default() -> None:
    assert find_run(RUNS).run_id == IDS[3]


def test_a_whole_id_wins_over_longer_ones() -> None:
    longer = RunRecord(IDS[0] + "b", 9.0, None, "running", None, None, None, "1", "here")
    assert find_run([*RUNS, longer], IDS[0]).run_id == IDS[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("20261123", f"the beginning of 2 runs: {IDS[2]}, {IDS[1]}"),
        ("", f"nearest: {IDS[3]}"),
        ("20261124-021500-4f2b", f"nearest: {IDS[3]}"),
        ("nonsense", f"nearest: {IDS[3]}, {IDS[2]}, {IDS[1]}"),
        ("latest~4", f"4 runs are recorded, the earliest is {IDS[0]}"),
        ("latest~x", "no run 'latest~x'"),
        ("\x1b[2J", r"no run '\\x1b[2J'"),
    ],
)
def test_not_found(words: str, said: str) -> None:
    with pytest.raises(UnknownRunError) as caught:
        find_run(RUNS, words)
    assert said in str(caught.value)
    assert "asyncrun trace list" in caught.value.hint
    assert caught.value.exit_code == 2


def test_nothing_recorded_has_a_hint_of_its_own() -> None:
    with pytest.raises(UnknownRunError, match="no run is recorded yet") as caught:
        find_run([], "latest")
    assert "asyncrun run" in caught.value.hint


def test_the_jobs_of_a_run_that_was_killed_are_those_that_had_begun() -> None:
    spans = [
        Span("r", number, parent, kind, name, 0.0, None, "running")
        for number, parent, kind, name in (
            (1, None, "async_job", "notes"),
            (2, 1, "async_job", "write out.jsonl"),
            (3, None, "embedding", "m"),
            (4, None, "async_job", "ask"),
        )
    ]
    assert job_names(spans) == {"notes", "ask"}
