"""The table of jobs fits, however many and whatever their names, and says first what went wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.results import Counts, JobResult, Status
from asyncrun.trace.views.styled_text import Style, columns, line_text
from asyncrun.ui.job_table import MOST_JOBS, render_jobs
from asyncrun.usage import Usage


def job(name: str = "notes", status: Status = Status.SUCCEEDED, **values: object) -> JobResult:
    return JobResult(name, "embed", status, 0, **values)  # type: ignore[arg-type]  # the keywords of a test


def test_columns_in_which_no_job_has_anything_are_left_out() -> None:
    assert str(render_jobs([job(counts=Counts(ok=2), seconds=2.0)], 100)).split("\n")[0].split() == [
        "job",
        "status",
        "ok",
        "failed",
        "cached",
        "time",
    ]
    told = job(counts=Counts(ok=2, skipped=1, truncated=1, removed=3), usage=Usage(tokens=5, cost=0.5), bound_by="request")
    assert str(render_jobs([told], 120)).split("\n")[0].split() == [
        *("job", "status", "ok", "failed", "skipped", "cached", "truncated", "removed", "tokens", "cost", "time", "bound", "by"),
    ]


def test_a_cost_that_is_not_known_is_none() -> None:
    rows = str(render_jobs([job(usage=Usage(cost=0.5)), job("local")], 100)).split("\n")
    assert [row.split()[5] for row in rows] == ["cost", "$0.50", "-"]


def test_failed_items_and_statuses_have_their_colour() -> None:
    lines = render_jobs([job(status=Status.PARTIAL, counts=Counts(ok=1, failed=2))], 100).lines
    assert {part.text.strip(): part.style for part in lines[1] if part.style is not Style.PLAIN} == {"partial": Style.ODD, "2": Style.BAD}


def test_of_five_hundred_jobs_those_that_went_wrong_are_shown_and_the_others_counted() -> None:
    jobs = [job(f"job{number}", Status.FAILED if number in (77, 400) else Status.SUCCEEDED) for number in range(500)]
    lines = str(render_jobs(jobs, 100)).split("\n")
    assert len(lines) == 1 + MOST_JOBS + 1
    assert [line.split()[0] for line in lines[1:4]] == ["job77", "job400", "job0"]
    assert lines[-1] == "and 480 more: 480 succeeded"


def test_a_narrow_window_keeps_what_failed_longest() -> None:
    told = job("embed-articles", Status.PARTIAL, counts=Counts(ok=391, failed=9), usage=Usage(1, 0, 15_444, 0.5), seconds=3.0)
    heads = {width: str(render_jobs([told], width)).split("\n")[0].split() for width in (20, 40, 60)}
    assert heads == {
        20: ["job", "status"],
        40: ["job", "status", "failed", "time"],
        60: ["job", "status", "ok", "failed", "cached", "cost", "time"],
    }


@given(width=st.integers(1, 200), name=st.text(min_size=1), number=st.integers(0, 10**9), jobs=st.integers(1, 30))
def test_no_line_is_wider_than_the_window(width: int, name: str, number: int, jobs: int) -> None:
    counts = Counts(ok=number, failed=number, skipped=1)
    text = render_jobs([job(f"{name}{at}" * 9, counts=counts, bound_by="rate") for at in range(jobs)], width)
    assert max(columns(line_text(line)) for line in text.lines) <= width
