"""A batch that fails, or is stopped, still says what it had waited for until then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from asyncrun.aio.attempts import with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.callbacks import CallbackManager, CBEventType
from asyncrun.redact import Redactor
from asyncrun.testing.clock import FakeClock
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import Span
from asyncrun.trace.span_tree import build_forest, timings_by_job, timings_by_type
from asyncrun.trace.store import TraceStore
from asyncrun.trace.views.timing_summary import render_summary

Batch = Callable[[], Awaitable[object]]


class Told:
    """A run of one job with one batch, on a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.path = folder / "traces.db"
        self.recorder = TraceRecorder(self.path, Redactor(), self.clock)
        self.manager = CallbackManager([self.recorder])

    async def run(self, batch: Batch) -> None:
        with (
            self.manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes"}),
            self.manager.event(CBEventType.EMBEDDING) as event,
            event.enclosing(),
        ):
            await batch()

    async def send(self, call: Batch, limiter: Limiter | None = None) -> None:
        await with_retries(
            lambda _: call(),
            policy=RetryPolicy(attempts=3),
            budget=RetryBudget(),
            circuit=CircuitBreaker(),
            limiter=limiter or Limiter(Limits(), self.clock, random.Random(1)),
            clock=self.clock,
            rng=random.Random(1),
            tokens=1,
            inputs=1,
            classify=lambda _: (FailureClass.TRANSIENT, None),
        )

    async def stop_after(self, seconds: float, batch: Batch) -> None:
        task = asyncio.create_task(self.run(batch))
        await self.clock.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def record(self, play: Callable[[], Awaitable[None]]) -> list[Span]:
        async def scene() -> None:
            await play()

        self.recorder.open()
        run_id = self.recorder.begin_run()
        asyncio.run(scene())
        self.recorder.end_run(status="failed", exit_code=1)
        self.recorder.close()
        with TraceStore(self.path, read_only=True) as store:
            return store.spans(run_id)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def waits(spans: list[Span]) -> dict[str, dict[str, float]]:
    """Return what the rows of the timing summary say was waited for: that of the job and that of its batches."""
    forest = build_forest(spans)
    [job] = timings_by_job(forest)
    [batch] = [timing for timing in timings_by_type(forest) if timing.label == "embedding"]
    return {timing.label: {name: round(wait, 3) for name, wait in timing.waits.items() if wait} for timing in (job, batch)}


def test_a_run_that_is_stopped_while_it_waits_for_the_rate_shows_that_wait_in_its_summary(told: Told) -> None:
    async def play() -> None:
        limiter = Limiter(Limits(requests_per_minute=1), told.clock, random.Random(1))
        async with limiter.permit():
            pass
        await told.stop_after(3.5, lambda: told.send(lambda: asyncio.sleep(0), limiter))

    spans = told.record(play)
    assert [(span.type, span.name, span.status) for span in spans if span.type == "wait"] == [("wait", "rate", "cancelled")]
    assert waits(spans) == {"notes": {"rate": 3.5}, "embedding": {"rate": 3.5}}
    assert str(render_summary(spans, 80)).splitlines()[1].split() == ["job", "count", "total", "self", "rate"]


def test_a_batch_whose_endpoint_is_down_shows_the_backoff_between_its_attempts(told: Told) -> None:
    async def down() -> None:
        raise ConnectionError("nobody listens")

    async def play() -> None:
        with pytest.raises(ConnectionError):
            await told.run(lambda: told.send(down))

    spans = told.record(play)
    backoff = round(sum(span.seconds or 0.0 for span in spans if span.type == "wait"), 3)
    assert backoff > 0
    assert waits(spans) == {"notes": {"backoff": backoff}, "embedding": {"backoff": backoff}}


def test_a_request_that_is_cut_off_has_its_time_among_the_waits(told: Told) -> None:
    spans = told.record(lambda: told.stop_after(2, lambda: told.send(lambda: told.clock.sleep(60))))
    assert [(span.type, span.status, span.attributes["error.type"]) for span in spans[-1:]] == [("attempt", "cancelled", "CancelledError")]
    assert waits(spans) == {"notes": {"request": 2.0}, "embedding": {"request": 2.0}}


def test_many_waits_of_a_batch_that_fails_are_summed_up_though_they_are_folded(told: Told) -> None:
    async def batch() -> None:
        for _ in range(500):
            with told.manager.event(CBEventType.WAIT, payload={"name": "rate"}) as event:
                event.on_end(payload={"name": "rate", "waits.rate": 0.25})
        raise ValueError("odd")

    async def play() -> None:
        with pytest.raises(ValueError, match="odd"):
            await told.run(batch)

    assert waits(told.record(play)) == {"notes": {"rate": 125.0}, "embedding": {"rate": 125.0}}


def test_what_a_batch_says_of_its_waits_itself_is_not_counted_twice(told: Told) -> None:
    async def play() -> None:
        with told.manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes"}), told.manager.event(CBEventType.EMBEDDING) as event:
            with event.enclosing(), told.manager.event(CBEventType.WAIT, payload={"name": "rate"}) as wait:
                wait.on_end(payload={"waits.rate": 0.25})
            event.on_end(payload={"status": "failed", "waits.rate": 0.25})

    assert waits(told.record(play)) == {"notes": {"rate": 0.25}, "embedding": {"rate": 0.25}}
