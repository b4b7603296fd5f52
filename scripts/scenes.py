"""Moments of a run that never was, on a clock that stands still: what pictures and transcripts of the terminal are made of.

Run: python scripts/scenes.py SCENE, on a terminal. What is drawn stays until standard input ends.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from asyncrun.errors import Place
from asyncrun.ports import Progress
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import build_forest
from asyncrun.trace.verdict import time_sinks
from asyncrun.trace.views.run_end import render_end
from asyncrun.trace.views.styled_text import StyledText, stack
from asyncrun.ui.bars import BarProgress
from asyncrun.ui.colours import print_styled
from asyncrun.ui.progress_choice import choose_colour
from asyncrun.ui.run_end import render_close
from asyncrun.usage import Usage

RUN_ID = "20261124-021500-4f2a"
STARTED = 1_795_486_500.0
JOB_FILE = Path("jobs.yaml")
NO_TITLE = ItemFailure("n12", Place("notes.jsonl", 12), "bad_record", "no field 'title'; known: id, text")
FAILURE = ItemFailure("n7", Place("notes.jsonl", 7), "too_long", "9,301 tokens, 8,192 at most", attempts=1)


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def monotonic(self) -> float:
        """Return the time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.time += seconds


def limit(progress: Progress, clock: HandClock) -> None:
    """Two jobs run, one of them at its rate limit, a third has not begun; items have failed in two ways."""
    progress.run_started(RUN_ID, ["embed-notes", "ingest-docs", "ask"])
    progress.task_started("ingest-docs", 84)
    clock.time += 10
    progress.task_started("embed-notes", 12_000)
    progress.warn("embed-notes: 11,000 of 12,000 items are new: about $0.02")
    progress.advance("embed-notes", Counts(ok=1000, cached=1000))
    clock.time += 40
    progress.advance("embed-notes", Counts(ok=3196, failed=4))
    for failure in (FAILURE, *[NO_TITLE] * 3):
        progress.item_failed("embed-notes", failure)
    progress.use("embed-notes", Usage(requests=32, tokens=412_600, cost=0.0083))
    progress.waiting("embed-notes", "rate limit 3 s")
    progress.advance("ingest-docs", Counts(ok=21))
    progress.use("ingest-docs", Usage(requests=4, tokens=18_220))


def fifty(progress: Progress, clock: HandClock) -> None:
    """Fifty jobs: two have ended, twelve run, the others wait for their turn."""
    names = [f"shard-{number:02}" for number in range(50)]
    progress.run_started(RUN_ID, names)
    for name in names[:14]:
        progress.task_started(name, 500)
    clock.time += 20
    for number, name in enumerate(names[2:14]):
        progress.advance(name, Counts(ok=20 * number))
    for name in names[:2]:
        counts = Counts(items=500, ok=500)
        progress.task_finished(name, JobResult(name, "embed", Status.SUCCEEDED, 0, counts=counts, seconds=20.0))


def ended(progress: Progress, clock: HandClock) -> None:
    """All is well but for four items; then the trace map, the timing summary and what to do."""
    limit(progress, clock)
    clock.time += 100
    progress.task_started("ask", 4)
    clock.time += 0.25
    _finish(progress, END)


def failed(progress: Progress, clock: HandClock) -> None:
    """A job fails at once, and another one needs it."""
    progress.run_started(RUN_ID, ["embed-notes", "ask"])
    progress.task_started("embed-notes", 12_000)
    clock.time += 1.5
    _finish(progress, FAILED)


def _finish(progress: Progress, result: RunResult) -> None:
    for job in result.jobs:
        progress.task_finished(job.name, job)
    progress.run_finished(result)


END = RunResult(
    RUN_ID,
    (
        JobResult(
            "embed-notes",
            *("embed", Status.PARTIAL, 3),
            counts=Counts(items=12_000, ok=11_996, failed=4, cached=1000),
            usage=Usage(requests=110, tokens=1_418_300, cost=0.0284),
            seconds=140.0,
            failures=(FAILURE, *[NO_TITLE] * 3),
        ),
        JobResult(
            "ingest-docs",
            *("ingest", Status.SUCCEEDED, 0),
            counts=Counts(items=84, ok=84),
            usage=Usage(requests=16, tokens=72_880),
            seconds=150.0,
        ),
        JobResult("ask", "query", Status.SUCCEEDED, 0, counts=Counts(items=4, ok=4), usage=Usage(requests=1, tokens=41), seconds=0.25),
    ),
    150.5,
)
FAILED = RunResult(
    RUN_ID,
    (
        JobResult(
            "embed-notes",
            *("embed", Status.FAILED, 77),
            reason="https://api.openai.com/v1: the key was refused (401)",
            hint="Set OPENAI_API_KEY to a key that is valid.",
            seconds=1.5,
        ),
        JobResult("ask", "query", Status.CANCELLED, 0, reason="embed-notes failed"),
    ),
    1.5,
)
SCENES: dict[str, tuple[Callable[[Progress, HandClock], None], RunResult | None]] = {
    "limit": (limit, None),
    "fifty": (fifty, None),
    "end": (ended, END),
    "failure": (failed, FAILED),
}


def trace(result: RunResult) -> tuple[RunRecord, list[Span]]:
    """Return what would have been recorded of a run."""
    spans: list[Span] = []

    def add(kind: str, name: str, start: float, end: float, parent: int | None = None, *, status: str = "succeeded", **waits: float) -> int:
        numbers = {f"waits.{wait}": seconds for wait, seconds in waits.items()}
        spans.append(Span(RUN_ID, len(spans) + 1, parent, kind, name, STARTED + start, STARTED + end, status, numbers))
        return len(spans)

    if result is FAILED:
        job = add("async_job", "embed-notes", 0.0, 1.5, status="failed")
        add("embedding", "", 0.5, 1.4, job, status="failed", request=0.75)
    else:
        job = add("async_job", "embed-notes", 10.0, 150.0)
        for number in range(20):
            add("embedding", "", 10.5 + 6.5 * number, 17.25 + 6.5 * number + number % 3, job, rate=4.5, request=2.0)
        docs = add("async_job", "ingest-docs", 0.0, 150.0)
        add("node_parsing", "docs", 0.0, 0.5, docs)
        for number in range(4):
            add("embedding", "", 1.0 + 36 * number, 36.0 + 36 * number, docs, request=34.5)
        ask = add("async_job", "ask", 150.25, 150.5)
        add("retrieve", "docs", 150.375, 150.5, ask)
    end = (STARTED + result.seconds, str(result.status), result.exit_code, result.seconds)
    return RunRecord(RUN_ID, STARTED, *end, str(JOB_FILE), "0.1.0", "here"), spans


def the_end(result: RunResult, width: int) -> StyledText:
    """Return what is shown of a run that has just ended."""
    run, spans = trace(result)
    sinks = time_sinks(parts_of(critical_path(build_forest(spans, details=False))), most=1)
    return stack(render_end(run, spans, width), render_close(result, JOB_FILE, width, *sinks), gap=1)


def main() -> int:
    """Draw one scene on stderr and stdout."""
    scene, result = SCENES[sys.argv[1]]
    clock = HandClock()
    colour = choose_colour(color="auto", terminal=sys.stderr.isatty(), environ=os.environ)
    progress = BarProgress(sys.stderr, clock, colour=colour, wiped=result is not None)
    try:
        scene(progress, clock)
        if result is not None:
            progress.close()
            width = shutil.get_terminal_size().columns
            print_styled(the_end(result, width), sys.stdout, colour=colour, width=width)
        sys.stdin.read()
    finally:
        progress.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
