"""The base class of handlers that await: a webhook, a queue, a database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from asyncrun.callbacks.handler import MOST_WAITING, TIME_LIMIT, BaseCallbackHandler
from asyncrun.callbacks.schema import CBEventType


class AsyncCallbackHandler(BaseCallbackHandler):
    """Is told when events start and end by calls that are awaited, in order, in a thread and an event loop of its own.

    Args:
        event_starts_to_ignore: types whose starts the manager does not report.
        event_ends_to_ignore: types whose ends the manager does not report.
        most_waiting: calls that may wait for this handler; it is not told of more, which is reported once.
        time_limit: seconds that one call may take; a handler that takes longer, or raises, is reported once and switched off.

    What happens never waits for the handler. `await manager.aclose()` waits until it has been told of everything; so does the end
    of the program. Where it raises `StopRunError`, that error leaves the manager's next call about it, `flush` and `close` included.
    """

    def __init__(
        self,
        event_starts_to_ignore: Sequence[CBEventType] = (),
        event_ends_to_ignore: Sequence[CBEventType] = (),
        *,
        most_waiting: int = MOST_WAITING,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        super().__init__(event_starts_to_ignore, event_ends_to_ignore)
        self.most_waiting = most_waiting
        self.time_limit = time_limit

    @abstractmethod
    async def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Take the start of an event."""

    @abstractmethod
    async def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Take the end of an event."""

    async def start_trace(self, trace_id: str | None = None) -> None:
        """Take the start of the outermost trace."""

    async def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Take the end of the outermost trace."""
