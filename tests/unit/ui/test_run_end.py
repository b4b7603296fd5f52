"""A run that has ended says what failed and which command helps further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.trace.views.styled_text import Style, StyledPart
from asyncrun.ui import run_end
from asyncrun.usage import Usage

GOES_ON = "Next: `asyncrun run 'my jobs.yaml'` goes on from here; what is finished is not sent again."
CORRECT = "Next: correct that first; `asyncrun run 'my jobs.yaml'` then does the rest, and what is finished is not sent again."
LISTS = "Next: `asyncrun failed 'my jobs.yaml'` lists what failed."


def render_ending(result: RunResult, file: Path | None = None) -> str:
    return str(run_end.render_ending(result, file))


def ended(status: Status, code: int, *failures: ItemFailure, reason: str | None = None) -> RunResult:
    counts = Counts(items=5 + len(failures), ok=5, failed=len(failures))
    return RunResult("r1", (JobResult("notes", "embed", status, code, reason, counts=counts, failures=failures),), 2.0)


def test_all_well_needs_nothing_next() -> None:
    assert "Next" not in render_ending(ended(Status.SUCCEEDED, 0), Path("jobs.yaml"))


def test_failed_items_are_named_and_can_be_listed(failure: ItemFailure) -> None:
    lines = render_ending(ended(Status.PARTIAL, 3, failure), Path("my jobs.yaml")).splitlines()
    assert lines[1:4] == ["notes partial", "  notes.jsonl:7: n7: too_long: 300 tokens, 256 at most", LISTS]
    assert "  too_long: shorten the text, set `on_too_long: truncate` or `split`" in lines[4]


@pytest.mark.parametrize("reason", ["too_long", "empty", "bad_record", "bad_text"])
def test_what_a_retry_cannot_help_is_not_to_be_retried(failure: ItemFailure, reason: str) -> None:
    ending = render_ending(ended(Status.PARTIAL, 3, replace(failure, reason=reason)), Path("my jobs.yaml"))
    assert "retry" not in ending
    assert f"\n  {reason}: " in ending


@pytest.mark.parametrize("reason", ["refused", "bad_response"])
def test_what_a_server_has_answered_can_be_asked_again(failure: ItemFailure, reason: str) -> None:
    failures = (failure, replace(failure, reason=reason))
    last = render_ending(ended(Status.PARTIAL, 3, *failures), Path("my jobs.yaml")).splitlines()[-1]
    assert last.startswith(f"  {reason}: ")
    assert "`asyncrun retry 'my jobs.yaml'`" in last


def test_what_failed_on_the_way_is_sent_by_the_next_run(failure: ItemFailure) -> None:
    ending = render_ending(ended(Status.PARTIAL, 3, replace(failure, reason="server_error")), Path("my jobs.yaml"))
    assert ending.splitlines()[-1] == "  server_error: the next `asyncrun run 'my jobs.yaml'` sends it again."


def test_a_reason_of_a_plugin_has_no_advice_of_ours(failure: ItemFailure) -> None:
    ending = render_ending(ended(Status.PARTIAL, 3, replace(failure, reason="odd\x1b[2J")), Path("my jobs.yaml"))
    assert ending.splitlines()[-1] == LISTS


@pytest.mark.parametrize(("status", "code"), [(Status.STOPPED, 75), (Status.CANCELLED, 0)])
def test_a_run_that_is_not_at_its_end_can_go_on(status: Status, code: int) -> None:
    assert render_ending(ended(status, code, reason="an outage"), Path("my jobs.yaml")).splitlines()[-1] == GOES_ON


@pytest.mark.parametrize(("status", "code"), [(Status.FAILED, 1), (Status.FAILED, 2), (Status.FAILED, 77), (Status.STOPPED, 4)])
def test_what_must_be_corrected_first_does_not_go_on_by_itself(status: Status, code: int) -> None:
    assert render_ending(ended(status, code, reason="another embedder"), Path("my jobs.yaml")).splitlines()[-1] == CORRECT
    assert "goes on" not in render_ending(ended(status, code, reason="another embedder"))


def test_a_job_that_failed_by_its_items_needs_both(failure: ItemFailure) -> None:
    lines = render_ending(ended(Status.FAILED, 1, failure), Path("my jobs.yaml")).splitlines()
    assert (lines[-3], lines[-1]) == (LISTS, CORRECT)


def test_an_id_is_not_shown_without_end(failure: ItemFailure) -> None:
    named = render_ending(ended(Status.PARTIAL, 3, replace(failure, id="n" * 2_000_000)), Path("jobs.yaml"))
    assert "notes.jsonl:7: nnn" in named
    assert len(named) < 1000


@pytest.mark.parametrize(("status", "code", "step"), [(Status.FAILED, 77, CORRECT), (Status.STOPPED, 75, GOES_ON)])
def test_what_ended_a_job_beside_its_failed_items_is_what_the_next_step_is_about(
    failure: ItemFailure, status: Status, code: int, step: str
) -> None:
    lines = render_ending(ended(status, code, failure, reason="the key is refused"), Path("my jobs.yaml")).splitlines()
    assert [line for line in lines if line.startswith("Next:")] == [step]


def test_a_quiet_run_says_the_same(failure: ItemFailure) -> None:
    result = ended(Status.PARTIAL, 3, failure)
    assert run_end.render_trouble(result, Path("jobs.yaml")) == run_end.render_ending(result, Path("jobs.yaml"))
    assert not run_end.render_trouble(ended(Status.SUCCEEDED, 0)).lines


def test_a_status_has_its_colour_and_a_count_of_failures_has_none(failure: ItemFailure) -> None:
    well = run_end.render_ending(ended(Status.SUCCEEDED, 0)).lines
    assert [part for line in well for part in line if part.style is not Style.PLAIN] == [StyledPart("succeeded", Style.GOOD)]
    said = replace(failure, message="the server has failed")
    ill = run_end.render_ending(ended(Status.FAILED, 1, said, reason="all failed")).lines
    assert [part for line in ill for part in line if part.style is not Style.PLAIN] == [StyledPart("failed", Style.BAD)] * 2


@pytest.mark.parametrize(("cost", "said"), [(None, "7 tokens)"), (0.0, "7 tokens, $0.00)"), (0.0246, "7 tokens, $0.0246)")])
def test_what_it_cost_is_said_where_it_is_known(cost: float | None, said: str) -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, None, usage=Usage(requests=1, tokens=7, cost=cost))
    assert render_ending(RunResult("r1", (job,), 2.0)).endswith(said)


def test_texts_that_were_cut_are_counted_where_there_are_any() -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=5, ok=5, truncated=2))
    assert "0 skipped, 2 truncated)" in render_ending(RunResult("r1", (job,), 2.0))
    assert "truncated" not in render_ending(ended(Status.SUCCEEDED, 0))
