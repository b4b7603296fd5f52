"""A run that has ended says what failed and which command helps further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.records import Counts, ItemFailure, JobResult, RunResult, Status, Usage
from asyncrun.trace.views.styled import Part, Style
from asyncrun.ui import ending

GOES_ON = "Next: `asyncrun run 'my jobs.yaml'` goes on from here; what is finished is not sent again."
LISTS = "Next: `asyncrun failed 'my jobs.yaml'` lists what failed, `asyncrun retry 'my jobs.yaml'` sends it again."


def render_ending(result: RunResult, file: Path | None = None) -> str:
    return str(ending.render_ending(result, file))


def ended(status: Status, code: int, *failures: ItemFailure, reason: str | None = None) -> RunResult:
    counts = Counts(items=5 + len(failures), ok=5, failed=len(failures))
    return RunResult("r1", (JobResult("notes", "embed", status, code, reason, counts=counts, failures=failures),), 2.0)


def test_all_well_needs_nothing_next() -> None:
    assert "Next" not in render_ending(ended(Status.SUCCEEDED, 0), Path("jobs.yaml"))


def test_failed_items_are_named_and_can_be_listed_and_retried(failure: ItemFailure) -> None:
    lines = render_ending(ended(Status.PARTIAL, 3, failure), Path("my jobs.yaml")).splitlines()
    assert lines[1:] == ["notes partial", "  notes.jsonl:7: n7: too_long: 300 tokens, 256 at most", LISTS]


@pytest.mark.parametrize(("status", "code"), [(Status.STOPPED, 75), (Status.FAILED, 1), (Status.CANCELLED, 0)])
def test_a_run_that_is_not_at_its_end_can_go_on(status: Status, code: int) -> None:
    assert render_ending(ended(status, code, reason="an outage"), Path("my jobs.yaml")).splitlines()[-1] == GOES_ON


def test_a_job_that_failed_by_its_items_needs_both(failure: ItemFailure) -> None:
    assert render_ending(ended(Status.FAILED, 1, failure), Path("my jobs.yaml")).splitlines()[-2:] == [LISTS, GOES_ON]


def test_an_id_is_not_shown_without_end(failure: ItemFailure) -> None:
    named = render_ending(ended(Status.PARTIAL, 3, replace(failure, id="n" * 2_000_000)), Path("jobs.yaml"))
    assert "notes.jsonl:7: nnn" in named
    assert len(named) < 1000


@pytest.mark.parametrize(("status", "code"), [(Status.FAILED, 77), (Status.STOPPED, 75), (Status.STOPPED, 4)])
def test_what_ended_a_job_beside_its_failed_items_is_what_the_next_step_is_about(failure: ItemFailure, status: Status, code: int) -> None:
    lines = render_ending(ended(status, code, failure, reason="the key is refused"), Path("my jobs.yaml")).splitlines()
    assert [line for line in lines if line.startswith("Next:")] == [GOES_ON]


def test_a_quiet_run_says_the_same(failure: ItemFailure) -> None:
    result = ended(Status.PARTIAL, 3, failure)
    assert ending.render_trouble(result, Path("jobs.yaml")) == ending.render_ending(result, Path("jobs.yaml"))
    assert not ending.render_trouble(ended(Status.SUCCEEDED, 0)).lines


def test_a_status_has_its_colour_and_a_count_of_failures_has_none(failure: ItemFailure) -> None:
    well = ending.render_ending(ended(Status.SUCCEEDED, 0)).lines
    assert [part for line in well for part in line if part.style is not Style.PLAIN] == [Part("succeeded", Style.GOOD)]
    said = replace(failure, message="the server has failed")
    ill = ending.render_ending(ended(Status.FAILED, 1, said, reason="all failed")).lines
    assert [part for line in ill for part in line if part.style is not Style.PLAIN] == [Part("failed", Style.BAD)] * 2


@pytest.mark.parametrize(("cost", "said"), [(None, "7 tokens)"), (0.0, "7 tokens, $0)"), (0.0246, "7 tokens, $0.0246)")])
def test_what_it_cost_is_said_where_it_is_known(cost: float | None, said: str) -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, None, usage=Usage(requests=1, tokens=7, cost=cost))
    assert render_ending(RunResult("r1", (job,), 2.0)).endswith(said)


def test_texts_that_were_cut_are_counted_where_there_are_any() -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=5, ok=5, truncated=2))
    assert "0 skipped, 2 truncated)" in render_ending(RunResult("r1", (job,), 2.0))
    assert "truncated" not in render_ending(ended(Status.SUCCEEDED, 0))
