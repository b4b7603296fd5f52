"""One event's life, started and ended once; and which manager, events and traces the running code is inside of."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from asyncrun.callbacks.schema import BASE_TRACE_EVENT, CBEventType, EventPayload, new_id
from asyncrun.errors import StopRunError
from asyncrun.short_help import ShortHelp

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager
    from asyncrun.callbacks.job_events import JobNotes

    OpenEvent = str | tuple[JobNotes, int]
    """An event's id, or where the id of a job is made, if ever it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """An open trace: traces of one manager that are nested share the outermost one's map."""

    manager: CallbackManager
    trace_map: dict[str, list[str]]
    outer_stack: tuple[OpenEvent, ...]


# Their values are immutable, so a task cannot change its parent's. Three and not one: a record of them, made twice an event, would cost a
# tenth of the event.
_manager: ContextVar[CallbackManager | None] = ContextVar("asyncrun_manager", default=None)
"""The innermost manager. Programs of users say once who is told (`as_trace`), and call code of others that knows no manager."""
open_events: ContextVar[tuple[OpenEvent, ...]] = ContextVar("asyncrun_stack", default=(BASE_TRACE_EVENT,))
"""The events that the running code is inside of, the innermost last: tasks and threads of one program have each their own parents."""
open_traces: ContextVar[tuple[Trace, ...]] = ContextVar("asyncrun_traces", default=())
"""The traces that the running code is inside of, the innermost last: `start_trace` and `end_trace` are calls without a handle."""


def current_manager() -> CallbackManager | None:
    """Return the manager of the enclosing `event()` or `as_trace()`, or None outside of both.

    >>> current_manager() is None
    True
    """
    return _manager.get()


def enter_manager(manager: CallbackManager | None) -> CallbackManager | None:
    """Make `manager` the current one, and return the one before it, to be put back."""
    # Put back by value: a token would refuse when an asynchronous generator is closed in another context.
    before = _manager.get()
    _manager.set(manager)
    return before


def trace_of(manager: CallbackManager) -> Trace | None:
    """Return the innermost open trace of a manager, None outside of all."""
    return next((trace for trace in reversed(open_traces.get()) if trace.manager is manager), None)


P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class EventContext(metaclass=ShortHelp):
    """Sends the start and the end of one event to a manager's handlers, once each.

    As a context manager (`CallbackManager.event`) it starts on entry and ends on exit. The end is sent in every case: an
    exception, a cancellation too, is in the payload of the innermost event that it leaves, as `EventPayload.EXCEPTION`. That a
    generator is closed early is none.

    As a decorator it makes every call of a function, or of a coroutine function until it has returned, an event of its own.

    >>> from asyncrun import CallbackManager, CBEventType, LlamaDebugHandler
    >>> debug = LlamaDebugHandler(print_trace_on_end=False)
    >>> manager = CallbackManager([debug])
    >>> with EventContext(manager, CBEventType.RETRIEVE, payload={"top_k": 2}) as event:
    ...     event.on_end({"hits": 2})
    >>> [one.payload for one in debug.get_events(CBEventType.RETRIEVE)]
    [{'top_k': 2}, {'hits': 2}]
    """

    __slots__ = ("_event_id", "_event_type", "_manager", "_outer", "_payload", "finished", "started")

    def __init__(
        self,
        callback_manager: CallbackManager,
        event_type: CBEventType,
        event_id: str | None = None,
        payload: dict[str, Any] | None = None,
    ) -> None:
        self._manager = callback_manager
        self._event_type = event_type
        self._event_id = event_id
        self._payload = payload
        self._outer: CallbackManager | None = None
        self.started = False
        self.finished = False

    @property
    def event_id(self) -> str:
        """Return the event's id."""
        if self._event_id is None:
            self._event_id = new_id()
        return self._event_id

    @property
    def event_type(self) -> CBEventType:
        """Return the event's type."""
        return self._event_type

    @property
    def callback_manager(self) -> CallbackManager:
        """Return the manager whose handlers are told."""
        return self._manager

    def on_start(self, payload: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Send the start; a second call is reported and does nothing."""
        if self.started:
            logger.warning("Event %s: %s already started!", self._event_type, self.event_id)
            return
        self.started = True
        if self._manager.handlers:
            self._manager.on_event_start(self._event_type, payload=payload, event_id=self.event_id, **kwargs)

    def on_end(self, payload: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Send the end; a second call does nothing."""
        if self.finished:
            return
        self.finished = True
        # Without an id nobody has heard of the event: there was no handler when it started.
        manager = self._manager
        if manager.handlers or self._event_id is not None:
            if kwargs:
                manager.on_event_end(self._event_type, payload, self.event_id, **kwargs)
            else:
                manager.on_event_end(self._event_type, payload, self._event_id or self.event_id)

    @contextmanager
    def enclosing(self) -> Generator[None, None, None]:
        """Make what starts while the block runs a child of this event, also where its type is one of LEAF_EVENTS."""
        outer = open_events.get()
        if self._event_id is not None and outer[-1] != self._event_id:
            open_events.set((*outer, self._event_id))
        try:
            yield
        finally:
            open_events.set(outer)

    def __enter__(self) -> EventContext:
        manager = self._manager
        self._outer = enter_manager(manager)
        self.started = True
        if manager.handlers:
            try:
                self._event_id = manager.on_event_start(self._event_type, self._payload, self.event_id)
            except StopRunError as stop:
                self.__exit__(StopRunError, stop, None)
                raise
        self._payload = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None or isinstance(error, GeneratorExit):
                self.on_end()
            elif self.finished:
                mark_reported(error)
            else:
                end_failed(self._manager, error, self.on_end, self.event_id)
        except StopRunError:
            # These stop the work as well, and were first.
            if not isinstance(error, StopRunError | KeyboardInterrupt | SystemExit):
                raise
        finally:
            enter_manager(self._outer)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return the function with an event of this type and payload around each of its calls."""
        return around_calls(function, lambda *_: EventContext(self._manager, self._event_type, self._event_id, self._payload))


def around_calls(function: Callable[P, T], enter: Callable[..., AbstractContextManager[object]]) -> Callable[P, T]:
    """Return a function, or coroutine function, with something entered around each of its calls; `enter` gets what stands by position.

    >>> around_calls(int, lambda text: nullcontext())("4")
    4
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with enter(*args):
            return function(*args, **kwargs)

    @wraps(function)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
        with enter(*args):
            return await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)

    return cast("Callable[P, T]", awaited) if iscoroutinefunction(function) else called


@contextmanager
def request_event(
    manager: CallbackManager, event_type: CBEventType, about: Mapping[str, object], payload: Mapping[Any, object]
) -> Generator[EventContext, None, None]:
    """Make a block the event of a request of the library, with what starts in it as its children; `about` is the class and its settings."""
    # A manager of LlamaIndex has no word for what is below an event of this type.
    with (
        manager.event(event_type, payload={EventPayload.SERIALIZED: about, **payload}) as event,
        getattr(event, "enclosing", nullcontext)(),
    ):
        yield event


def end_failed(manager: CallbackManager, error: BaseException, on_end: Callable[[dict[str, Any] | None], None], event_id: str) -> None:
    """Tell that an exception leaves an event, and then its end, also where being told of the first is what stops the work."""
    try:
        manager.on_event_error(event_id, error)
    finally:
        on_end({EventPayload.EXCEPTION: error} if mark_reported(error) else None)


def mark_reported(error: BaseException) -> bool:
    """Return whether no event has reported this exception yet, and remember that one has."""
    # Not by `hasattr`: an exception may answer, or fail, for whatever name it is asked for.
    if "event_added" in vars(error):
        return False
    vars(error)["event_added"] = True
    return True
