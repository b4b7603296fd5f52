"""Two runs compared: the verdict, the reasons in their order, and the settings."""

from __future__ import annotations

from dataclasses import replace

from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.diff import render_diff

NOW = 1_795_486_525.0


def night(run_id: str, batches: int, seconds: float, **attributes: float) -> list[Span]:
    """One job that sends batches of 10 items, one after the other."""
    counts = {"items": batches * 10, "cached": 0, "tokens": batches * 1000, "requests": batches, "failed": 0}
    spans = [Span(run_id, 1, None, "async_job", "notes", 0.0, batches * seconds, "succeeded", counts)]
    for number in range(batches):
        given = {"tokens": 1000, **{key.replace("__", "."): value for key, value in attributes.items()}}
        spans.append(Span(run_id, number + 2, 1, "embedding", "", number * seconds, (number + 1) * seconds, "succeeded", given))
    return spans


def job_lines(text: str) -> list[str]:
    return text.split("\n\n")[1].splitlines()


def test_why_a_job_took_longer_goes_from_the_work_to_the_waits(runs: list[RunRecord]) -> None:
    text = str(render_diff((runs[0], night("a", 10, 1)), (runs[0], night("b", 20, 2, waits__rate=1.0, retries=1)), 160, NOW))
    assert "B took 30 s longer than A (+300%)." in text
    assert job_lines(text) == [
        "notes: 10 s -> 40 s (+300%)",
        "  work: items 100 -> 200 (+100%), new items 100 -> 200 (+100%), tokens 10,000 -> 20,000 (+100%), requests 10 -> 20 (+100%)",
        "  rate: new items 10/s -> 5/s (-50%), tokens 1,000/s -> 500/s (-50%)",
        "  waits: rate 0 s -> 20 s",
        "  batch: p50 1 s -> 2 s (+100%), p95 1 s -> 2 s (+100%)",
        "  retries: 0 -> 20",
    ]


def test_equal_runs_are_said_to_be_equal(runs: list[RunRecord]) -> None:
    text = str(render_diff((runs[0], night("a", 10, 1)), (runs[0], night("b", 10, 1)), 80, NOW))
    assert "B took as long as A" in text
    assert job_lines(text) == ["notes: 10 s -> 10 s, no change"]
    assert "setting" not in text


def test_settings_that_differ_stand_at_the_end(runs: list[RunRecord]) -> None:
    after = replace(runs[0], settings={"notes.workers": 8}, host="there")
    text = str(render_diff((runs[0], []), (after, []), 80, NOW))
    assert text.splitlines()[-3:] == ["setting        A     B", "host           here  there", "notes.workers  -     8"]


def test_jobs_of_one_run_only_are_named(runs: list[RunRecord]) -> None:
    other = [replace(span, name="book") if span.parent is None else span for span in night("b", 1, 1)]
    text = str(render_diff((runs[0], night("a", 1, 2)), (runs[0], other), 80, NOW))
    assert job_lines(text) == ["notes: only in A, 2 s", "book: only in B, 1 s"]


def test_two_runs_without_events(runs: list[RunRecord]) -> None:
    assert "Neither has events to compare." in str(render_diff((runs[0], []), (runs[1], []), 80, NOW))
