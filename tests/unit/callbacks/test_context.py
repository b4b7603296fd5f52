"""An event's life: one start, one end, also when it is left by an exception or a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncrun.callbacks import CallbackManager, CBEvent, CBEventType, EventContext, EventPayload, LlamaDebugHandler


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


@pytest.mark.parametrize("error", [ValueError("odd"), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
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
