"""A run with everything in it that a view must bear, a clock that is set by hand, and golden files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.trace.run_record import RunRecord, Span

GOLDEN = Path(__file__).parent / "golden"
STARTED = 1_795_486_500.0
HOSTILE = "\x1b[31mred\x1b[0m \u202eevil\u202c\x9b2J\r\n\x07[bold][red]\u2066\u200f日本語\t<script>\udcff"


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
def trying(maker: SpanMaker) -> list[Span]:
    """Two jobs that had every wait that there is, batches with their attempts, and a night in which the lid was shut."""
    parts = {"queue": 0.25, "rate": 1.5, "gate": 2.0, "backoff": 0.75, "connect": 0.125, "request": 3.5, "decode": 0.0625, "write": 0.25}
    notes = maker.add("async_job", 0.0, 34.0, name="embed-notes", items=40, cached=0, tokens=800, requests=12, failed=0)
    for number in range(4):
        begin = number * 8.5
        waits = {f"waits__{name}": seconds for name, seconds in parts.items()}
        batch = maker.add("embedding", begin, begin + 8.4375, notes, items=10, tokens=200, requests=3, retries=2, **waits)
        maker.add("wait", begin, begin + 1.75, batch, name="rate", waits__queue=0.25, waits__rate=1.5)
        refused = {"error__type": "throttle", "error__message": "slow down", "http.response.status_code": 429}
        maker.add("attempt", begin + 1.75, begin + 2.5, batch, name="throttle", status="failed", waits__request=0.75, **refused)
        maker.add("wait", begin + 2.5, begin + 4.5, batch, name="gate", waits__gate=2.0)
        broken = {"error__type": "transient", "error__message": "the connection ended"}
        maker.add("attempt", begin + 4.5, begin + 5.5, batch, name="transient", status="failed", waits__request=1.0, **broken)
        maker.add("wait", begin + 5.5, begin + 6.25, batch, name="backoff", waits__backoff=0.75)
        sent = {"waits__connect": 0.125, "waits__request": 1.75, "waits__decode": 0.0625}
        maker.add("attempt", begin + 6.25, begin + 8.1875, batch, **sent)
    maker.add("wait", 17.0, 17.0, name="suspended for 28800 s", suspended=28800.0)
    ingest = maker.add("async_job", 34.0, 36.0, name="ingest-notes")
    maker.add("node_parsing", 34.0, 35.5, ingest, name="notes", items=40, waits__store=1.25)
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
def hostile_spans(maker: SpanMaker) -> list[Span]:
    """Events that are hostile in every text that an event has."""
    evil = {"error__type": HOSTILE, "error__message": HOSTILE * 4, "text": HOSTILE, HOSTILE: HOSTILE}
    job = maker.add("async_job", 0.0, 4.0, name=HOSTILE, status="failed", **evil)
    for number in range(12):
        maker.add(HOSTILE, number * 0.25, number * 0.25 + 0.5, job, name=HOSTILE, status=HOSTILE if number % 2 else "failed", **evil)
    maker.add(f"{HOSTILE} open", 3.0, None, job, name="漢字" * 40, **evil)
    return [replace(span, run_id=HOSTILE) for span in maker.spans]


@pytest.fixture
def hostile_run() -> RunRecord:
    """A run that is hostile in every text that a run has."""
    summary = {HOSTILE: HOSTILE, "jobs": [{"name": HOSTILE, "reason": HOSTILE, "status": HOSTILE}]}
    return RunRecord(
        *(HOSTILE, STARTED, STARTED + 9, HOSTILE, 1, 9.0, HOSTILE, HOSTILE, HOSTILE, summary),
        *(STARTED + 9, 3, {HOSTILE: HOSTILE, f"{HOSTILE}.漢字": "漢字" * 40}, HOSTILE),
    )


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a golden file; ASYNCRUN_UPDATE_GOLDEN=1 writes the file instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("ASYNCRUN_UPDATE_GOLDEN"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
