"""Handlers that await: told in order, off the hot path, and never in the way of what they watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks import AsyncCallbackHandler, CallbackManager, CBEventType, LlamaDebugHandler


class Telling(AsyncCallbackHandler):
    """Keeps what it is told; before each call it waits for `gate`."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.told: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    async def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        await self._hear(f"start {event_id}")

    async def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        await self._hear(f"end {event_id}")

    async def start_trace(self, trace_id=None):
        await self._hear(f"trace {trace_id}")

    async def end_trace(self, trace_id=None, trace_map=None):
        await self._hear(f"traced {trace_id}")

    async def _hear(self, what: str) -> None:
        while not self.gate.is_set():
            await asyncio.sleep(0.001)
        self.threads.add(threading.current_thread().name)
        self.told.append(what)


class Raising(Telling):
    async def _hear(self, what: str) -> None:
        await super()._hear(what)
        raise ConnectionError("no route for api_key=hunter2hunter2")


class Hanging(Telling):
    async def _hear(self, what: str) -> None:
        await super()._hear(what)
        await asyncio.Event().wait()


@pytest.fixture
def managers() -> Iterator[list[CallbackManager]]:
    made: list[CallbackManager] = []
    yield made
    for manager in made:
        manager.close()


def managed(managers: list[CallbackManager], *handlers: Any) -> CallbackManager:
    managers.append(CallbackManager(list(handlers)))
    return managers[-1]


def play(manager: CallbackManager, *ids: str) -> None:
    for event_id in ids:
        with manager.event(CBEventType.QUERY, event_id=event_id):
            pass


def test_it_is_told_of_everything_in_order(managers: list[CallbackManager]) -> None:
    handler = Telling()
    manager = managed(managers, handler)
    with manager.as_trace("t"):
        play(manager, "a", "b")
    assert manager.flush()
    assert handler.told == ["trace t", "start a", "end a", "start b", "end b", "traced t"]


def test_what_happens_does_not_wait_for_it(managers: list[CallbackManager]) -> None:
    handler, other = Telling(), LlamaDebugHandler(print_trace_on_end=False)
    manager = managed(managers, handler, other)
    handler.gate.clear()
    play(manager, "a")
    assert handler.told == []
    assert len(other.get_events()) == 2
    assert not manager.flush(0.01)
    handler.gate.set()
    assert manager.flush()
    assert handler.told == ["start a", "end a"]
    assert threading.current_thread().name not in handler.threads


def test_closing_tells_the_rest_and_the_next_event_begins_anew(managers: list[CallbackManager]) -> None:
    handler = Telling()
    manager = managed(managers, handler)
    handler.gate.clear()
    play(manager, "a")
    handler.gate.set()
    manager.close()
    assert handler.told == ["start a", "end a"]
    manager.close()
    play(manager, "b")
    manager.close()
    assert handler.told[2:] == ["start b", "end b"]


@pytest.mark.parametrize(
    ("handler", "why"), [(Raising(), "it raised ConnectionError: no route"), (Hanging(time_limit=0.01), "it did not return within 0.01 s")]
)
def test_one_that_raises_or_hangs_is_reported_once_and_switched_off(
    handler: Telling, why: str, managers: list[CallbackManager], caplog: pytest.LogCaptureFixture
) -> None:
    other = LlamaDebugHandler(print_trace_on_end=False)
    manager = managed(managers, handler, other)
    play(manager, "a", "b")
    assert not manager.flush()
    play(manager, "c", "d")
    assert manager.handlers == [other]
    assert len(other.get_events()) == 8
    assert handler.told == ["start a"]
    assert len(caplog.records) == 1
    assert f"{type(handler).__name__} is switched off: {why}" in caplog.text
    assert "hunter2" not in caplog.text


def test_one_that_blocks_its_thread_is_switched_off_too(managers: list[CallbackManager], caplog: pytest.LogCaptureFixture) -> None:
    let_go, begun = threading.Event(), threading.Event()

    class Blocking(Telling):
        async def _hear(self, what: str) -> None:
            begun.set()
            let_go.wait()

    handler = Blocking(time_limit=0.001)
    manager = managed(managers, handler)
    play(manager, "a")
    assert begun.wait(60)
    assert not manager.flush(0.01)
    play(manager, "b")
    assert manager.handlers == []
    assert "Blocking is switched off" in caplog.text
    let_go.set()


def test_more_than_may_wait_is_left_out_and_said_once(managers: list[CallbackManager], caplog: pytest.LogCaptureFixture) -> None:
    handler = Telling(most_waiting=4)
    manager = managed(managers, handler)
    handler.gate.clear()
    play(manager, *"abcdefgh")
    handler.gate.set()
    assert manager.flush()
    assert handler.told[:4] == ["start a", "end a", "start b", "end b"]
    assert len(handler.told) < 16
    assert manager.handlers == [handler]
    assert len(caplog.records) == 1
    assert "Telling is too slow" in caplog.text


def test_ignored_types_are_not_told(managers: list[CallbackManager]) -> None:
    handler = Telling(event_starts_to_ignore=[CBEventType.QUERY])
    manager = managed(managers, handler)
    play(manager, "a")
    manager.flush()
    assert handler.told == ["end a"]


def test_any_handler_with_coroutine_functions_is_awaited(managers: list[CallbackManager]) -> None:
    class Mixed(LlamaDebugHandler):
        told = 0

        async def on_event_end(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
            self.told += 1

    handler = Mixed(print_trace_on_end=False)
    manager = managed(managers, handler)
    play(manager, "a", "b")
    manager.flush()
    assert (len(handler.get_events()), handler.told) == (2, 2)


@pytest.mark.asyncio
async def test_a_failing_one_breaks_no_job() -> None:
    handler = Raising()
    manager = CallbackManager([handler])

    async def job(number: int) -> int:
        await asyncio.sleep(0)
        return number

    assert await run_jobs([job(number) for number in range(50)], callback_manager=manager) == list(range(50))
    assert not await manager.aflush()
    await manager.aclose()
    assert len(handler.told) == 1
