"""An event's life: one start, one end, also when it is left by an exception or a cancellation."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from asyncrun.aio.pool import outcomes
from asyncrun.callbacks import CallbackManager, CBEvent, CBEventType, EventContext, EventPayload, LlamaDebugHandler, current_manager


def watched() -> tuple[CallbackManager, LlamaDebugHandler]:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    return CallbackManager([handler]), handler


def ends(handler: LlamaDebugHandler) -> list[dict[str, Any] | None]:
    return [pair[1].payload for pair in handler.get_event_pairs()]


def test_start_and_end_carry_their_payloads() -> None:
    manager, handler = watched()
    with manager.event(CBEventType.QUERY, payload={"in": 1}, event_id="mine") as event:
        assert (event.started, event.finished, event.event_id) == (True, False, "mine")
        event.on_end(payload={"out": 2})
        assert event.finished
    assert [(part.id_, part.payload) for part in handler.get_events()] == [("mine", {"in": 1}), ("mine", {"out": 2})]


def test_an_event_ends_once() -> None:
    manager, handler = watched()
    with manager.event(CBEventType.QUERY) as event:
        event.on_end(payload={"first": True})
        event.on_end(payload={"second": True})
    assert [part.payload for part in handler.get_events()] == [None, {"first": True}]


def test_a_second_start_is_reported_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    manager, handler = watched()
    event = EventContext(manager, CBEventType.QUERY, event_id="mine")
    event.on_start()
    event.on_start()
    event.on_end()
    assert len(handler.get_events()) == 2
    assert "mine already started" in caplog.text


@pytest.mark.parametrize("error", [ValueError("odd"), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3)])
def test_the_end_is_sent_with_whatever_leaves_the_event(error: BaseException) -> None:
    manager, handler = watched()
    with pytest.raises(type(error)), manager.event(CBEventType.QUERY):
        raise error
    assert ends(handler) == [{EventPayload.EXCEPTION: error}]


def test_only_the_innermost_event_has_the_exception_in_its_payload() -> None:
    manager, handler = watched()
    with pytest.raises(ValueError, match="odd"), manager.event(CBEventType.QUERY), manager.event(CBEventType.RETRIEVE):
        raise ValueError("odd")
    payloads = {pair[0].event_type: pair[1].payload for pair in handler.get_event_pairs()}
    assert payloads[CBEventType.QUERY] is None
    assert isinstance((payloads[CBEventType.RETRIEVE] or {})[EventPayload.EXCEPTION], ValueError)


def test_an_exception_that_answers_for_no_name_comes_out_unchanged() -> None:
    class Odd(Exception):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    manager, handler = watched()
    error = Odd()
    with pytest.raises(Odd), manager.event(CBEventType.QUERY):
        raise error
    assert ends(handler) == [{EventPayload.EXCEPTION: error}]


def test_an_exception_after_the_end_is_not_sent() -> None:
    manager, handler = watched()
    with pytest.raises(ValueError, match="odd"), manager.event(CBEventType.QUERY), manager.event(CBEventType.RETRIEVE) as event:
        event.on_end(payload={"done": 1})
        raise ValueError("odd")
    assert [pair[1].payload for pair in handler.get_event_pairs()] == [None, {"done": 1}]


@pytest.mark.asyncio
async def test_a_cancelled_task_ends_its_events() -> None:
    manager, handler = watched()
    inside = asyncio.Event()

    async def job() -> None:
        with manager.event(CBEventType.ASYNC_JOB), manager.event(CBEventType.EMBEDDING):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(job())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [len(pair) for pair in handler.get_event_pairs()] == [2, 2]


@pytest.mark.asyncio
async def test_an_event_may_be_left_in_another_context() -> None:
    manager, handler = watched()

    async def numbers():
        with manager.event(CBEventType.QUERY):
            yield 1
            yield 2

    stream = numbers()
    assert await anext(stream) == 1
    await asyncio.create_task(stream.aclose())
    assert [len(pair) for pair in handler.get_event_pairs()] == [2]


def test_a_handler_that_comes_while_an_event_is_open_hears_of_the_next_ones() -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager()
    with manager.event(CBEventType.QUERY):
        manager.add_handler(handler)
        with manager.event(CBEventType.TREE):
            pass
    starts: list[CBEvent] = [pair[0] for pair in handler.get_event_pairs(CBEventType.TREE)]
    assert len(starts) == 1


def test_what_an_event_encloses_is_its_child_also_where_its_type_has_no_children_by_itself() -> None:
    manager, _ = watched()
    with manager.event(CBEventType.QUERY) as outer, manager.event(CBEventType.EMBEDDING) as batch:
        with batch.enclosing(), manager.event(CBEventType.ATTEMPT) as attempt:
            pass
        with manager.event(CBEventType.RETRIEVE) as beside:
            pass
    assert manager.trace_map[batch.event_id] == [attempt.event_id]
    assert manager.trace_map[outer.event_id] == [batch.event_id, beside.event_id]


def test_enclosing_means_nothing_with_nobody_to_tell() -> None:
    manager = CallbackManager()
    with manager.event(CBEventType.EMBEDDING) as batch, batch.enclosing():
        assert manager.innermost() == "root"


def test_as_a_decorator_every_call_is_an_event_of_its_own() -> None:
    manager, handler = watched()

    @manager.event(CBEventType.LLM, payload={"in": 1})
    def double(number: int) -> int:
        """Say twice the number."""
        assert current_manager() is manager
        return 2 * number

    assert [double(1), double(number=2)] == [2, 4]
    assert (double.__name__, double.__doc__) == ("double", "Say twice the number.")
    assert [[part.payload for part in pair] for pair in handler.get_event_pairs(CBEventType.LLM)] == [[{"in": 1}, None]] * 2


@pytest.mark.asyncio
async def test_as_a_decorator_of_a_coroutine_function_the_event_lasts_until_it_has_returned() -> None:
    manager, handler = watched()

    @manager.event(CBEventType.QUERY)
    async def outer(number: int) -> int:
        await asyncio.sleep(0)
        return await inner(number) + 1

    @manager.event(CBEventType.RETRIEVE)
    async def inner(number: int) -> int:
        if not number:
            raise ValueError("odd")
        await asyncio.sleep(0)
        return 2 * number

    assert inspect.iscoroutinefunction(outer)
    assert await asyncio.gather(outer(1), outer(2)) == [3, 5]
    pairs = {event_id: pair[0].event_type for event_id, pair in handler.events_pairs_by_id.items() if len(pair) == 2}
    assert [[pairs[child] for child in children] for parent, children in manager.trace_map.items() if parent in pairs] == [
        [CBEventType.RETRIEVE]
    ] * 2
    with pytest.raises(ValueError, match="odd"):
        await outer(0)
    assert str((ends(handler)[-1] or {})[EventPayload.EXCEPTION]) == "odd"


def test_an_id_that_was_given_is_that_of_every_call() -> None:
    manager, handler = watched()
    nothing = manager.event(CBEventType.QUERY, event_id="mine")(lambda: None)
    nothing()
    nothing()
    assert [part.id_ for part in handler.get_events()] == ["mine"] * 4


def test_a_generator_that_is_closed_early_is_no_failure() -> None:
    heard: list[BaseException] = []

    class Hearing(LlamaDebugHandler):
        def on_event_error(self, event_id: str, error: BaseException) -> None:
            heard.append(error)

    handler = Hearing(print_trace_on_end=False)
    manager = CallbackManager([handler])

    def numbers() -> Iterator[int]:
        with manager.as_trace("t"), manager.event(CBEventType.QUERY), manager.event(CBEventType.RETRIEVE) as event:
            yield 1
            event.on_end(payload={"all": True})
            yield 2

    for number in (1, 2):
        stream = numbers()
        while next(stream) != number:
            pass
        stream.close()  # type: ignore[attr-defined]  # as `break` does
    assert [pair[0].event_type for pair in handler.get_event_pairs()] == [CBEventType.QUERY, CBEventType.RETRIEVE] * 2
    assert [pair[1].payload for pair in handler.get_event_pairs()] == [None, None, None, {"all": True}]
    assert heard == []


@pytest.mark.asyncio
async def test_an_asynchronous_generator_over_outcomes_that_is_closed_early_is_no_failure() -> None:
    manager, handler = watched()

    async def results() -> AsyncIterator[int]:
        with manager.as_trace("t"), manager.event(CBEventType.QUERY):
            async with outcomes(asyncio.sleep(0, number) for number in range(100)) as stream:
                async for outcome in stream:
                    yield outcome.result()

    async with aclosing(results()) as stream:
        async for result in stream:
            if result == 3:
                break
    assert [[part.payload for part in pair] for pair in handler.get_event_pairs()] == [[None, None]]
