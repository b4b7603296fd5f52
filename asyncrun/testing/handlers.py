"""The contract suite of handlers: subclass `HandlerContract`, give it the fixture `handler`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import asyncio

import pytest

from asyncrun.callbacks import BaseCallbackHandler, CallbackManager, CBEventType, EventPayload


async def watched(manager: CallbackManager, run_id: str) -> None:
    """Make the events of a small run: a job, two batches in it, one of which fails."""

    async def batch(number: int) -> None:
        with manager.event(CBEventType.EMBEDDING, payload={EventPayload.MODEL_NAME: "m", "texts": 2}) as event:
            await asyncio.sleep(0)
            if number:
                raise TimeoutError("no answer")
            event.on_end(payload={"tokens": 9})

    with manager.as_trace(run_id), manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes"}):
        await asyncio.gather(batch(0), batch(1), return_exceptions=True)


class HandlerContract:
    """What every handler promises that watches a run. The fixture `handler` returns a new one, made as a run makes it.

    >>> from asyncrun import LlamaDebugHandler
    >>> class TestMine(HandlerContract):
    ...     @pytest.fixture
    ...     def handler(self):
    ...         return LlamaDebugHandler(print_trace_on_end=False)
    """

    @pytest.fixture
    def handler(self) -> BaseCallbackHandler:
        """Return the handler."""
        raise NotImplementedError

    @pytest.mark.asyncio
    async def test_it_is_told_of_runs_and_is_not_switched_off(self, handler: BaseCallbackHandler) -> None:
        manager = CallbackManager([handler])
        for run_id in ("one", "two"):
            await watched(manager, run_id)
        assert await manager.aflush()
        await manager.aclose()
        assert manager.handlers == [handler]

    @pytest.mark.asyncio
    async def test_it_takes_events_without_a_payload_and_of_every_type(self, handler: BaseCallbackHandler) -> None:
        manager = CallbackManager([handler])
        with manager.as_trace("all"):
            for event_type in CBEventType:
                manager.on_event_end(event_type, event_id=manager.on_event_start(event_type))
        await manager.aclose()
        assert manager.handlers == [handler]

    @pytest.mark.asyncio
    async def test_an_end_without_its_start_does_no_harm(self, handler: BaseCallbackHandler) -> None:
        manager = CallbackManager([handler])
        manager.on_event_end(CBEventType.EMBEDDING, {"tokens": 1}, event_id="never-begun")
        await manager.aclose()
        assert manager.handlers == [handler]
