"""A run that has ended says what failed and which command helps further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.errors import Place
from asyncrun.failure_groups import FailureGroups
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, ExecutorUse, JobResult, RunResult, Status
from asyncrun.trace.verdict import TimeSink
from asyncrun.trace.views.styled_text import Style, StyledText
from asyncrun.ui import run_end
from asyncrun.usage import Usage

GOES_ON = "Next: `asyncrun run 'my jobs.yaml'` goes on from here; what is finished is not sent again."
CORRECT = "Next: Correct that first; then `asyncrun run 'my jobs.yaml'` does the rest, and what is finished is not sent again."
LISTS = "Next: `asyncrun failed 'my jobs.yaml'` lists what failed, and what helps."


def render_ending(result: RunResult, file: Path | None = None) -> str:
    return str(run_end.render_ending(result, file))


def ended(status: Status, code: int, *failures: ItemFailure, reason: str | None = None) -> RunResult:
    counts = Counts(items=5 + len(failures), ok=5, failed=len(failures))
    return RunResult("r1", (JobResult("notes", "embed", status, code, reason, counts=counts, failures=failures),), 2.0)


def test_all_well_needs_nothing_next() -> None:
    assert "Next" not in render_ending(ended(Status.SUCCEEDED, 0), Path("jobs.yaml"))


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (ExecutorUse(lost_workers=2, lost_calls=3), ["2 workers were lost with 3 calls under way"]),
        (ExecutorUse(lost_workers=1, lost_calls=1), ["1 worker was lost with 1 call under way"]),
        (ExecutorUse(), []),
    ],
)
def test_workers_that_were_lost_are_counted_where_there_were_any(use: ExecutorUse, said: list[str]) -> None:
    result = replace(ended(Status.SUCCEEDED, 0), executor=use)
    assert render_ending(result).splitlines() == ["Run r1 succeeded: all 5 items done in 2 s.", *said]


def test_failed_items_are_counted_by_what_was_wrong_and_can_be_listed(failure: ItemFailure) -> None:
    other = replace(failure, reason="empty", message="the text is empty", place=Place("notes.jsonl", 9))
    lines = render_ending(ended(Status.PARTIAL, 3, failure, failure, other), Path("my jobs.yaml")).splitlines()
    assert lines == [
        "Run r1 partial: 5 of 8 items done, 3 failed in 2 s.",
        "2 x 300 tokens, 256 at most, first at notes.jsonl:7",
        "1 x the text is empty, at notes.jsonl:9",
        LISTS,
    ]


def test_what_failed_on_the_way_is_sent_by_the_next_run(failure: ItemFailure) -> None:
    ending = render_ending(ended(Status.PARTIAL, 3, replace(failure, reason="server_error")), Path("my jobs.yaml"))
    assert ending.splitlines()[-1] == "Next: `asyncrun run 'my jobs.yaml'` sends what failed again."


@pytest.mark.parametrize(("status", "code"), [(Status.STOPPED, 75), (Status.CANCELLED, 0)])
def test_a_run_that_is_not_at_its_end_can_go_on(status: Status, code: int) -> None:
    assert render_ending(ended(status, code, reason="an outage"), Path("my jobs.yaml")).splitlines()[-1] == GOES_ON


@pytest.mark.parametrize(("status", "code"), [(Status.FAILED, 1), (Status.FAILED, 2), (Status.FAILED, 77), (Status.STOPPED, 4)])
def test_what_must_be_corrected_first_does_not_go_on_by_itself(status: Status, code: int) -> None:
    assert render_ending(ended(status, code, reason="another embedder"), Path("my jobs.yaml")).splitlines()[-1] == CORRECT
    assert "goes on" not in render_ending(ended(status, code, reason="another embedder"))


def test_a_job_that_failed_by_its_items_is_looked_at_and_then_run_again(failure: ItemFailure) -> None:
    last = render_ending(ended(Status.FAILED, 1, failure), Path("my jobs.yaml")).splitlines()[-1]
    assert last == f"{LISTS} Correct what failed; then {CORRECT.partition('; then ')[2]}"


def test_what_a_job_says_to_do_is_the_next_step() -> None:
    def last(status: Status, code: int, hint: str) -> str:
        job = JobResult("notes", "embed", status, code, "the key is refused", hint)
        return render_ending(RunResult("r1", (job,), 2.0), Path("my jobs.yaml")).splitlines()[-1]

    assert last(Status.FAILED, 77, "Check the key.") == CORRECT.replace("Correct that first", "Check the key")
    again = "Run `asyncrun run 'my jobs.yaml'` again later: finished items are not sent again."
    assert last(Status.STOPPED, 75, "Run the same command again later: finished items are not sent again.") == f"Next: {again}"


def test_an_id_and_a_message_are_not_shown_without_end(failure: ItemFailure) -> None:
    named = render_ending(ended(Status.PARTIAL, 3, replace(failure, id="n" * 2_000_000, message="m" * 2_000_000)), Path("jobs.yaml"))
    assert "1 x mmm" in named
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


def styles(text: StyledText) -> dict[str, Style]:
    return {part.text: part.style for line in text.lines for part in line if part.style in (Style.GOOD, Style.ODD, Style.BAD)}


def test_a_status_has_its_colour_and_what_was_said_of_a_failure_has_none(failure: ItemFailure) -> None:
    assert styles(run_end.render_ending(ended(Status.SUCCEEDED, 0))) == {"succeeded": Style.GOOD}
    said = replace(failure, message="the server has failed")
    assert styles(run_end.render_ending(ended(Status.FAILED, 1, said, reason="all failed"))) == {"failed": Style.BAD, "1 x ": Style.ODD}


@pytest.mark.parametrize(("cost", "said"), [(None, "done in 2 s."), (0.0, "done in 2 s."), (0.0246, "done in 2 s ($0.0246).")])
def test_what_it_cost_is_said_where_it_cost_something(cost: float | None, said: str) -> None:
    counts, usage = Counts(items=5, ok=5), Usage(requests=1, tokens=7, cost=cost)
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, None, counts=counts, usage=usage)
    assert render_ending(RunResult("r1", (job,), 2.0)).endswith(said)


def test_what_was_done_before_and_texts_that_were_cut_are_counted_where_there_are_any() -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=5, ok=5, cached=3, truncated=2))
    assert render_ending(RunResult("r1", (job,), 2.0)) == "Run r1 succeeded: all 5 items done in 2 s (3 of them cached, 2 truncated)."


DONE = JobResult("ask", "query", Status.SUCCEEDED, 0, counts=Counts(items=4, ok=4), usage=Usage(1, 0, 41), seconds=0.25)


def close(result: RunResult, width: int = 100, sink: TimeSink | None = None) -> list[str]:
    return str(run_end.render_close(result, Path("jobs.yaml"), width, sink)).splitlines()


def test_a_run_ends_with_a_row_for_each_job_then_what_failed_then_verdict_and_one_command(failure: ItemFailure) -> None:
    counts = Counts(items=9, ok=8, failed=1, cached=2)
    notes = JobResult("notes", "embed", Status.PARTIAL, 3, counts=counts, usage=Usage(3, 0, 1200, 0.5), seconds=2.0, failures=(failure,))
    assert close(RunResult("r1", (notes, DONE), 2.5), sink=TimeSink(0.93, "requests", "notes")) == [
        "job    status     ok  failed  cached  tokens   cost    time",
        "notes  partial     8       1       2   1,200  $0.50     2 s",
        "ask    succeeded   4       0       0      41      -  0.25 s",
        "notes: 1 x 300 tokens, 256 at most, at notes.jsonl:7",
        "",
        "Partial: 12 of 13 items done, 1 failed in 2.5 s (2 of them cached, $0.50); 93% requests in notes.",
        "Next: `asyncrun failed jobs.yaml` lists what failed, and what helps.",
    ]


def test_a_reason_is_said_once_with_the_jobs_that_have_it() -> None:
    hint = "Check the API key of the embedder."
    failed = [JobResult(f"job{number}", "embed", Status.FAILED, 77, "the key is refused (401)", hint) for number in range(5)]
    cancelled = JobResult("ask", "query", Status.CANCELLED, 0, "job0 failed")
    lines = close(RunResult("r1", (*failed, cancelled), 2.0))
    assert lines[7:] == [
        "ask cancelled: job0 failed",
        "",
        "Failed after 2 s: job0: the key is refused (401).",
        "Next: Check the API key of the embedder; then `asyncrun run jobs.yaml` does the rest, and what is finished is not sent again.",
    ]


def test_without_a_table_the_jobs_of_one_reason_are_named() -> None:
    failed = [JobResult(f"job{number}", "embed", Status.FAILED, 77, "the key is refused.", "Check the key.") for number in range(5)]
    assert render_ending(RunResult("r1", tuple(failed), 2.0)).splitlines()[:2] == [
        "Run r1 failed after 2 s: job0: the key is refused.",
        "job0, job1, job2 and 2 others failed",
    ]


def test_items_that_failed_in_another_job_are_not_the_next_step_of_a_run_that_a_key_has_ended(failure: ItemFailure) -> None:
    counts = Counts(items=9, ok=8, failed=1)
    partial = JobResult("notes", "embed", Status.PARTIAL, 3, counts=counts, failures=(failure,))
    refused = JobResult("ask", "query", Status.FAILED, 77, "the key is refused", "Check the key.")
    assert close(RunResult("r1", (partial, refused), 2.0))[-1] == (
        "Next: Check the key; then `asyncrun run jobs.yaml` does the rest, and what is finished is not sent again."
    )


def test_hints_that_differ_stand_with_their_reasons() -> None:
    jobs = [JobResult(name, "embed", Status.FAILED, 1, f"no {name}", f"Find {name}.") for name in ("a", "b")]
    assert close(RunResult("r1", tuple(jobs), 2.0))[3:] == [
        "a failed",
        "  Find a.",
        "b failed: no b",
        "  Find b.",
        "",
        "Failed after 2 s: a: no a.",
        "Next: Correct that first; then `asyncrun run jobs.yaml` does the rest, and what is finished is not sent again.",
    ]


def test_a_run_with_nothing_to_do_is_one_sentence() -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=1464, ok=1464, cached=1464))
    result = RunResult("r1", (job,), 2.1)
    assert close(result) == ["Nothing to do: 1,464 items unchanged in 2.1 s."]
    assert styles(run_end.render_close(result, Path("jobs.yaml"), 100)) == {"Nothing to do": Style.GOOD}


def test_what_was_removed_or_sent_is_no_nothing() -> None:
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=2, ok=2, cached=2, removed=1))
    assert len(close(RunResult("r1", (job,), 2.1))) > 1


def test_of_many_sorts_of_failures_the_most_frequent_are_shown_and_the_others_counted(failure: ItemFailure) -> None:
    groups = FailureGroups(replace(failure, message=f"sort {chr(0x61 + number)}") for number in range(9) for _ in range(9 - number))
    counts = Counts(items=100, ok=55, failed=45)
    job = JobResult("notes", "embed", Status.PARTIAL, 3, counts=counts, failure_groups=groups.largest_first())
    lines = close(RunResult("r1", (job,), 2.1))
    assert [line[:12] for line in lines[2:7]] == [
        "9 x sort a, ",
        "8 x sort b, ",
        "7 x sort c, ",
        "21 x in 6 ot",
        "",
    ]


def test_what_several_jobs_failed_by_is_one_line(failure: ItemFailure) -> None:
    counts = Counts(items=9, ok=8, failed=1)
    jobs = [JobResult(f"job{number}", "embed", Status.PARTIAL, 3, counts=counts, failures=(failure,)) for number in range(3)]
    assert close(RunResult("r1", tuple(jobs), 2.0))[4:6] == ["3 jobs: 3 x 300 tokens, 256 at most, first at notes.jsonl:7", ""]
