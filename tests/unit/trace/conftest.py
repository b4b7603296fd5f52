"""A run with everything in it that a view must bear, a clock that is set by hand, and golden files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncrun.trace.records import RunRecord, Span

GOLDEN = Path(__file__).parent / "golden"
STARTED = 1_795_486_500.0
HOSTILE = "\x1b[31mred\x1b[0m \u202eevil\u202c\x9b2J\r\n\x07[bold]日本語\t<script>\udcff"


class HandClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.wall = STARTED
        self.ticks = 100.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


class SpanMaker:
    """Makes spans in the order of their start; times are seconds since the start of the run."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(
        self,
        kind: str,
        start: float,
        end: float | None,
        parent: Span | None = None,
        name: str = "",
        status: str = "succeeded",
        **attributes: bool | float | str,
    ) -> Span:
        span = Span(
            *("20261124-021500-4f2a", len(self.spans) + 1, parent.id if parent else None, kind, name),
            *(STARTED + start, None if end is None else STARTED + end, "running" if end is None else status),
            {key.replace("__", "."): value for key, value in attributes.items()},
        )
        self.spans.append(span)
        return span


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def maker() -> SpanMaker:
    return SpanMaker()


@pytest.fixture
def nightly(maker: SpanMaker) -> list[Span]:
    """Two jobs: one with many batches, one hostile and killed."""
    notes = maker.add("async_job", 0.0, 12.5, name="embed-notes")
    maker.add("chunking", 0.0, 0.25, notes)
    for number in range(120):
        start = 0.25 + number * 0.1
        maker.add("embedding", start, start + 0.1 * (1 + number % 3), notes, waits__queue=0.01, waits__rate=0.02, waits__request=0.05)
    maker.add("embedding", 12.0, 12.25, notes, name="the last one", status="failed", error__type="AuthError", waits__backoff=0.125)
    book = maker.add("async_job", 1.0, None, name=f"ingest {HOSTILE} " + "a-very-long-name-" * 8)
    for number in range(20):
        batch = maker.add("async_job", 2.0 + number, 3.0 + number if number < 18 else None, book)
        maker.add("embedding", 2.25 + number, 2.75 + number if number < 18 else None, batch, waits__gate=0.125)
    retrieve = maker.add("retrieve", 20.0, 20.5, name=HOSTILE, status=HOSTILE)
    maker.add("llm", 20.0, 20.0625, retrieve)
    return maker.spans


@pytest.fixture
def failing(maker: SpanMaker) -> list[Span]:
    """A job in which much failed, also among events that are folded, and one that failed for a reason of its own."""
    notes = maker.add(
        "async_job", 0.0, 9.0, name=HOSTILE, status="failed", items=900, failed=12, cached=100, tokens=8000, folded__below=8.5
    )
    words = {"error__type": f"Error {HOSTILE}", "error__message": f"the server said {HOSTILE} " + "and more " * 40}
    for number in range(60):
        maker.add("embedding", number * 0.1, number * 0.1 + 0.5, notes, name=HOSTILE, status="failed", retries=number % 3, **words)
    folds = {"count": 740, "failed": 4, "seconds": 40.0, "own": 40.0, "min": 0.01, "max": 0.5, "p50": 0.05, "p95": 0.25}
    attributes = {f"folded__{name}": value for name, value in folds.items()}
    maker.add("embedding", 1.0, 8.5, notes, name=HOSTILE, waits__rate=12.5, waits__request=20.0, **attributes)
    maker.add("async_job", 9.0, 9.5, name="ask", status="failed")
    return maker.spans


@pytest.fixture
def runs() -> list[RunRecord]:
    """Four runs, from the earliest: done, partly done with a partial trace, killed, and running."""
    return [
        RunRecord("20261122-021500-0a01", STARTED - 172_800, STARTED - 172_700, "succeeded", 0, 100.0, "jobs.yaml", "0.1.0", "here"),
        RunRecord(
            *("20261123-021500-0b02", STARTED - 86_400, STARTED - 86_000, "partial", 3, 400.25),
            *("folder/" * 12 + "jobs.yaml", "0.1.0", HOSTILE, {"items": 10, "jobs": [{"name": "ask", "reason": HOSTILE}]}),
            *(STARTED - 86_000, 7, {f"{HOSTILE}.workers": 8, "ask.top_k": HOSTILE, "same": 1}, "f" * 64),
        ),
        RunRecord("20261123-031500-0c03", STARTED - 82_800, None, "running", None, None, HOSTILE, "0.1.0", "here", seen=STARTED - 82_790),
        RunRecord(
            "20261124-021500-4f2a", STARTED, None, "running", None, None, None, "0.1.0", "here", {}, STARTED + 21, 0, {"same": 1}, "e" * 64
        ),
    ]


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a golden file; ASYNCRUN_UPDATE_GOLDEN=1 writes the file instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("ASYNCRUN_UPDATE_GOLDEN"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
