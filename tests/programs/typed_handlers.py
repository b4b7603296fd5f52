"""What users write who check their types strictly: handlers, and functions with a decorator."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from asyncrun import BaseCallbackHandler, CallbackManager, CBEventType, LlamaDebugHandler, StopRunError
from asyncrun.callbacks import AsyncCallbackHandler


class Posting(AsyncCallbackHandler):
    async def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> None:
        raise StopRunError("enough")

    async def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None: ...

    async def start_trace(self, trace_id: str | None = None) -> None: ...

    async def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None: ...

    async def on_event_error(self, event_id: str, error: BaseException) -> None: ...


class Counting(BaseCallbackHandler):
    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any) -> None: ...

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None: ...


manager = CallbackManager([Posting(time_limit=1.0), Counting([], []), LlamaDebugHandler()])


@manager.event(CBEventType.LLM)
def double(number: int) -> int:
    return 2 * number


@manager.event(CBEventType.LLM)
async def doubled(number: int) -> int:
    return 2 * number


now: int = double(1)
later: Coroutine[Any, Any, int] = doubled(1)
