"""A handler may stop the work on purpose, and only on purpose: its StopRunError reaches whoever began the work, and nothing runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from asyncrun import StopRunError, batch_gather, outcomes, run_async_tasks, run_jobs
from asyncrun.callbacks import AsyncCallbackHandler, BaseCallbackHandler, CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from asyncrun.errors import AsyncrunError

METHODS = ["on_event_start", "on_event_end", "start_trace", "end_trace", "on_event_error"]


class Stopping(BaseCallbackHandler):
    """Stops the work in one of its methods, from its n-th call on."""

    def __init__(self, where: str, after: int = 0, error: Exception | None = None) -> None:
        super().__init__([], [])
        self.where = where
        self.left = after
        self.error = error or StopRunError("enough")

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self._hear("on_event_start")
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        self._hear("on_event_end")

    def start_trace(self, trace_id=None):
        self._hear("start_trace")

    def end_trace(self, trace_id=None, trace_map=None):
        self._hear("end_trace")

    def on_event_error(self, event_id, error):
        self._hear("on_event_error")

    def _hear(self, method: str) -> None:
        if method == self.where:
            self.left -= 1
            if self.left < 0:
                raise self.error


class StoppingLater(AsyncCallbackHandler):
    """Stops the work once, when it is told of an event's start."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    async def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.told += 1
        if self.told == 1:
            raise StopRunError("enough")

    async def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        self.told += 1


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("asyncrun")]


def play(manager: CallbackManager) -> None:
    fails = any(isinstance(handler, Stopping) and handler.where == "on_event_error" for handler in manager.handlers)
    with manager.as_trace("t"), manager.event(CBEventType.QUERY):
        if fails:
            raise ValueError("odd")


@pytest.mark.parametrize("method", METHODS)
def test_it_leaves_any_of_the_five_methods_and_the_handlers_stay(method: str, caplog: pytest.LogCaptureFixture) -> None:
    other = LlamaDebugHandler(print_trace_on_end=False)
    stopping = Stopping(method)
    manager = CallbackManager([stopping, other])
    with pytest.raises(StopRunError, match="enough") as caught:
        play(manager)
    assert caught.value is stopping.error
    assert manager.handlers == [stopping, other]
    assert manager.stopped == "enough"
    assert said(caplog) == []
    # The others have been told of every start and end, and what follows is at the top again.
    assert all(len(pair) == 2 for pair in other.get_event_pairs())
    stopping.where = "nowhere"
    with manager.as_trace("next"):
        with manager.event(CBEventType.QUERY, event_id="later"):
            pass
        assert manager.trace_map["root"] == ["later"]


@pytest.mark.parametrize("method", METHODS)
def test_any_other_error_of_a_handler_cannot_stop_the_work(method: str, caplog: pytest.LogCaptureFixture) -> None:
    manager = CallbackManager([Stopping(method, error=AsyncrunError("broken"))])
    if method == "on_event_error":
        with pytest.raises(ValueError, match="odd"):
            play(manager)
    else:
        play(manager)
    assert manager.handlers == []
    assert manager.stopped is None
    assert len(caplog.records) == 1
    assert "Stopping is switched off: it raised AsyncrunError: broken" in caplog.text


def test_the_first_stop_wins_and_is_what_the_event_ends_with() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    first = StopRunError("first")
    manager = CallbackManager([Stopping("on_event_start", error=first), Stopping("on_event_end", error=StopRunError("second")), debug])
    with pytest.raises(StopRunError, match="first"), manager.event(CBEventType.QUERY):
        pytest.fail("the event has not begun")
    assert [event.payload for event in debug.get_events()] == [None, {EventPayload.EXCEPTION: first}]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_it_does_not_hide_what_ends_the_program(error: BaseException) -> None:
    with pytest.raises(type(error)), CallbackManager([Stopping("on_event_end")]).event(CBEventType.QUERY):
        raise error


class Jobs:
    """Jobs that wait, of which one ends at once; how many are under way, and how many have cleaned up."""

    def __init__(self, manager: CallbackManager) -> None:
        self.manager = manager
        self.begun = 0
        self.cleaned = 0

    def __iter__(self) -> Iterator[Awaitable[int]]:
        return (self.job(number) for number in range(100))

    async def job(self, number: int) -> int:
        self.begun += 1
        try:
            with self.manager.event(CBEventType.QUERY):
                await (asyncio.sleep(0) if number == 3 else asyncio.Event().wait())
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                self.cleaned += 1
        return number


async def all_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in stream]


BEGIN: dict[str, Callable[[Jobs], Awaitable[Any]]] = {
    "run_jobs": lambda jobs: run_jobs(jobs, callback_manager=jobs.manager),
    "run_jobs, unwatched": run_jobs,
    "outcomes": lambda jobs: all_of(outcomes(jobs)),
    "outcomes, collecting": lambda jobs: all_of(outcomes(jobs, on_error="collect")),
    "batch_gather": batch_gather,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["on_event_start", "on_event_end"])
@pytest.mark.parametrize("way", BEGIN)
async def test_what_runs_jobs_stops_cleanly_and_raises_it(way: str, method: str, caplog: pytest.LogCaptureFixture) -> None:
    stopping = Stopping(method, after=2 if method == "on_event_start" else 0)
    jobs = Jobs(CallbackManager([stopping]))
    with pytest.raises(StopRunError) as caught:
        await BEGIN[way](jobs)
    assert caught.value is stopping.error
    assert jobs.begun == jobs.cleaned < 100
    assert len(asyncio.all_tasks()) == 1
    assert said(caplog) == []


def test_run_async_tasks_stops_too() -> None:
    manager = CallbackManager([Stopping("on_event_end")])
    with pytest.raises(StopRunError, match="enough"):
        run_async_tasks(iter(Jobs(manager)))


@pytest.mark.asyncio
@pytest.mark.parametrize("way", BEGIN)
async def test_an_asynchronous_handler_stops_the_work_at_its_next_event(way: str, caplog: pytest.LogCaptureFixture) -> None:
    handler = StoppingLater()
    manager = CallbackManager([handler])
    jobs = Jobs(manager)
    with manager.event(CBEventType.QUERY) as event:
        while not handler.told:
            await asyncio.sleep(0)
        with pytest.raises(StopRunError, match="enough"):
            await BEGIN[way](jobs)
        event.on_end()
    await manager.aclose()
    assert jobs.begun == jobs.cleaned
    assert len(asyncio.all_tasks()) == 1
    # It is told of what follows, like any other.
    assert handler.told > 3
    assert said(caplog) == []


@pytest.mark.parametrize("last", ["flush", "close"])
def test_what_an_asynchronous_handler_says_at_the_very_end_is_raised_where_it_is_waited_for(last: str) -> None:
    manager = CallbackManager([StoppingLater()])
    manager.on_event_start(CBEventType.LLM)
    with pytest.raises(StopRunError, match="enough"):
        getattr(manager, last)()
    manager.close()
