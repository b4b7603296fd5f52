"""What a notice says: short, plain, escaped, with the commands that show more."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import OutageError, Place
from asyncrun.failure_groups import FailureGroup
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.ui.run_end import render_ending
from asyncrun.ui.run_notice import LONGEST_BODY, NoticeSource, render_error_notice, render_notice
from asyncrun.usage import Usage

WHERE = NoticeSource("nightly.yaml", Path("/srv/nightly.yaml"), "web-3", "-f /srv/nightly.yaml")


def failed(number: int, reason: str, message: str = "no field 'title'") -> ItemFailure:
    return ItemFailure(f"n{number}", Place("data.jsonl", number), reason, message)


NOTES = JobResult(
    "notes",
    "embed",
    Status.PARTIAL,
    3,
    counts=Counts(items=1240, ok=1228, failed=12),
    usage=Usage(tokens=9000, cost=0.02),
    failure_groups=(
        FailureGroup(10, failed(12, "bad_record")),
        FailureGroup(2, failed(40, "too_long", "9,000 tokens, 8,192 at most")),
    ),
)
DOCS = JobResult("docs", "ingest", Status.FAILED, 77, "the endpoint refused the key", "Check OPENAI_API_KEY.")


def test_a_notice_has_the_verdict_the_failures_by_reason_and_what_shows_more() -> None:
    notice = render_notice(RunResult("r1", (NOTES, DOCS), 200.0), WHERE)
    assert notice.title == "asyncrun: nightly.yaml failed on web-3"
    assert notice.kind == "failure"
    assert WHERE.file is not None
    verdict, *told, step = str(render_ending(RunResult("r1", (NOTES, DOCS), 200.0), WHERE.file)).split("\n")
    assert notice.body.split("\n") == [verdict, *told, step, "", "asyncrun trace errors r1 -f /srv/nightly.yaml"]
    assert verdict.startswith("Run r1 failed")
    assert any("10 x no field 'title', first at data.jsonl:12" in line for line in told)
    assert "/srv/nightly.yaml" in step


@pytest.mark.parametrize(
    ("result", "recovered", "title", "kind"),
    [
        (NOTES, False, "asyncrun: notes of nightly.yaml is partial on web-3", "warning"),
        (JobResult("notes", "embed", Status.STOPPED, 4), False, "asyncrun: notes of nightly.yaml stopped on web-3", "failure"),
        (JobResult("notes", "embed", Status.SUCCEEDED, 0), False, "asyncrun: notes of nightly.yaml succeeded on web-3", "success"),
        (JobResult("notes", "embed", Status.SUCCEEDED, 0), True, "asyncrun: notes of nightly.yaml has recovered on web-3", "success"),
    ],
)
def test_the_title_says_how_it_ended(result: JobResult, recovered: bool, title: str, kind: str) -> None:
    notice = render_notice(RunResult("r1", (result,), 1.0), WHERE, job="notes", recovered=recovered)
    assert (notice.title, notice.kind) == (title, kind)


@pytest.mark.parametrize(
    ("job", "command"),
    [
        (NOTES, "errors"),
        (DOCS, "errors"),
        (JobResult("notes", "embed", Status.STOPPED, 75, "stopped early: SIGTERM"), "show"),
        (JobResult("notes", "embed", Status.SUCCEEDED, 0), "show"),
    ],
    ids=["failed items", "a failed job", "stopped", "all is well"],
)
def test_the_trace_is_looked_at_for_errors_where_there_are_some(job: JobResult, command: str) -> None:
    body = render_notice(RunResult("r1", (job,), 1.0), WHERE).body
    assert body.splitlines()[-1] == f"asyncrun trace {command} r1 -f /srv/nightly.yaml"


def test_jobs_from_python_have_no_file_that_a_command_could_name() -> None:
    body = render_notice(RunResult("r1", (NOTES,), 1.0), NoticeSource("jobs", None, "web-3", "--state-dir /srv/.asyncrun")).body
    assert body.splitlines()[-1] == "asyncrun trace errors r1 --state-dir /srv/.asyncrun"
    assert "asyncrun failed" not in body


def test_what_comes_from_outside_acts_nowhere() -> None:
    evil = ItemFailure("n1", Place("a\x1b[2J.jsonl", 1), "refused", "hey @everyone, @here\n\u202eevil \ud800")
    job = JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(items=1, failed=1), failures=(evil,))
    body = render_notice(RunResult("r1", (job,), 1.0), WHERE).body
    assert r"1 x hey @ everyone, @ here\x0a\u202eevil \ud800, at a\x1b[2J.jsonl:1" in body


def test_a_hundred_jobs_with_long_reasons_and_many_failures_fit_a_message_with_its_first_lines_and_its_commands() -> None:
    many = tuple(FailureGroup(number + 1, failed(number, f"reason {number}", f"{number} is wrong")) for number in range(3000))
    jobs = tuple(
        JobResult(f"job-{number}", "embed", Status.FAILED, 1, f"why {number} " * 300, failure_groups=many) for number in range(100)
    )
    body = render_notice(RunResult("r1", jobs, 1.0), WHERE).body
    assert len(body) <= LONGEST_BODY
    assert body.startswith("Run r1 failed after 1 s: ")
    assert body.splitlines()[-1] == "asyncrun trace errors r1 -f /srv/nightly.yaml"


def test_an_error_before_the_first_job_is_told_and_a_strange_one_by_its_type() -> None:
    assert render_error_notice(OutageError("down", hint="Wait."), WHERE).body == "down\nWait."
    assert render_error_notice(ValueError("a document's text"), WHERE).body == "internal error: ValueError"
