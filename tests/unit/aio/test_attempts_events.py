"""Attempts and waits are events of the manager that the batch is told to, below the batch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest

from asyncrun.aio.attempts import AttemptCounts, with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.aio.worker_state import attempt_made_on, time_spent_on
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Waits

Told = tuple[str, str, str, dict[str, float]]


class Refusal(Exception):
    def __init__(self, failure: FailureClass, status: int) -> None:
        super().__init__("the server's words")
        self.failure, self.status = failure, status


async def tried_with(call: Callable[[int], Awaitable[str]], limiter: Limiter, clock: FakeClock) -> AttemptCounts:
    counts = AttemptCounts()
    await with_retries(
        call,
        policy=RetryPolicy(attempts=2),
        budget=RetryBudget(),
        circuit=CircuitBreaker(),
        limiter=limiter,
        clock=clock,
        rng=random.Random(1),
        tokens=1,
        inputs=1,
        classify=lambda error: (getattr(error, "failure", FailureClass.TRANSIENT), None),
        counts=counts,
    )
    return counts


class Tried:
    """What one batch told, with the answers of its endpoint."""

    def __init__(self, *answers: Exception | str, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.answers = list(answers)
        self.limiter = Limiter(limits or Limits(), self.clock, random.Random(1))
        self.handler = LlamaDebugHandler(print_trace_on_end=False)
        self.manager = CallbackManager([self.handler])

    async def call(self, _: int) -> str:
        with time_spent_on("connect"):
            await self.clock.sleep(0.25)
        await self.clock.sleep(1)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run(self) -> None:
        await tried_with(self.call, self.limiter, self.clock)

    def told(self) -> list[Told]:
        """Return type, name, status and waits of each event, by their ends."""
        pairs: Sequence[Sequence[object]] = self.handler.get_event_pairs()
        found = []
        for start, end in pairs:
            about = {**(start.payload or {}), **(end.payload or {})}
            waits = {name: round(value, 6) for name, value in about.items() if str(name).startswith("waits.")}
            found.append((start.event_type.value, str(about.get("name", "")), str(about.get("status", "")), waits))
        return found


@pytest.mark.asyncio
async def test_an_attempt_that_succeeds_tells_where_its_seconds_went() -> None:
    tried = Tried("ok")
    with tried.manager.event(CBEventType.EMBEDDING) as batch, batch.enclosing():
        await tried.run()
    [_, attempt] = tried.told()
    assert attempt == ("attempt", "", "", {"waits.connect": 0.25, "waits.request": 1.0})
    assert tried.manager.trace_map[batch.event_id] == [event.id_ for event in tried.handler.get_events(CBEventType.ATTEMPT)[:1]]


@pytest.mark.asyncio
async def test_an_attempt_on_a_worker_says_which_one_and_how_long_it_was_on_its_way() -> None:
    clock, handler = FakeClock(), LlamaDebugHandler(print_trace_on_end=False)

    async def call(_: int) -> str:
        await clock.sleep(1)
        attempt_made_on("node-1 pid 4711", Waits(ship=0.25))
        return "ok"

    with CallbackManager([handler]).event(CBEventType.EMBEDDING) as batch, batch.enclosing():
        counts = await tried_with(call, Limiter(Limits(), clock, random.Random(1)), clock)
    [_, end] = handler.get_event_pairs(CBEventType.ATTEMPT)[0]
    assert end.payload == {"worker": "node-1 pid 4711", "waits.ship": 0.25, "waits.request": 0.75}
    assert (counts.worker, counts.waits.ship) == ("node-1 pid 4711", 0.25)


@pytest.mark.asyncio
async def test_a_failed_attempt_is_called_by_its_class_and_the_wait_for_the_next_one_is_told() -> None:
    tried = Tried(Refusal(FailureClass.TRANSIENT, 503), "ok")
    with tried.manager.event(CBEventType.QUERY):
        await tried.run()
    told = tried.told()[1:]
    assert [(kind, name, status) for kind, name, status, _ in told] == [
        ("attempt", "transient", "failed"),
        ("wait", "backoff", ""),
        ("attempt", "", ""),
    ]
    assert told[1][3].keys() == {"waits.backoff"}
    [_, failed] = tried.handler.get_event_pairs(CBEventType.ATTEMPT)[0]
    assert failed.payload is not None
    assert (failed.payload["http.response.status_code"], failed.payload["error.type"]) == (503, "transient")


@pytest.mark.asyncio
async def test_a_throttle_and_its_gate_are_told() -> None:
    tried = Tried(Refusal(FailureClass.THROTTLE, 429), "ok")
    with tried.manager.event(CBEventType.QUERY):
        await tried.run()
    assert [event[:2] for event in tried.told()[1:]] == [("attempt", "throttle"), ("wait", "gate"), ("attempt", "")]


@pytest.mark.asyncio
async def test_a_wait_for_a_slot_is_told_and_a_permit_that_is_free_is_not() -> None:
    tried = Tried("ok", "ok", limits=Limits(concurrency=1))
    with tried.manager.event(CBEventType.QUERY):
        await asyncio.gather(tried.run(), tried.run())
    waits = [event for event in tried.told() if event[0] == "wait"]
    assert waits == [("wait", "queue", "", {"waits.queue": 1.25})]


@pytest.mark.asyncio
async def test_the_last_error_is_told_by_the_batch_too() -> None:
    tried, last = Tried(Refusal(FailureClass.AUTH, 401)), []
    with pytest.raises(Refusal), tried.manager.event(CBEventType.QUERY):
        try:
            await tried.run()
        except Refusal as error:
            last.append(error)
            raise
    assert [event[:2] for event in tried.told()[1:]] == [("attempt", "auth")]


@pytest.mark.asyncio
async def test_with_nobody_to_tell_nothing_is_different() -> None:
    tried = Tried(Refusal(FailureClass.TRANSIENT, 503), "ok")
    await tried.run()
    assert tried.told() == []
