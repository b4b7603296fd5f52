"""The callback manager: passes events to handlers and knows which event encloses which."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from types import CoroutineType
from typing import Any

from asyncrun.callbacks.async_handler import HandlerThreads
from asyncrun.callbacks.base_handler import BaseCallbackHandler, describe_error
from asyncrun.callbacks.event_context import (
    EventContext,
    Trace,
    current_manager,
    enter_manager,
    mark_reported,
    open_events,
    open_traces,
    trace_of,
)
from asyncrun.callbacks.schema import BASE_TRACE_EVENT, LEAF_EVENTS, CBEventType, EventPayload, new_id
from asyncrun.errors import StopRunError

__all__ = ["BaseCallbackHandler", "CallbackManager", "EventContext", "StopRunError", "current_manager"]

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT = 10.0
"""Seconds that asynchronous handlers get at the end."""
OWN_FAULTS = (Exception, asyncio.CancelledError)
"""What comes of a handler itself: it is called between two turns of the loop, where nobody can have cancelled the job."""


class CallbackManager(BaseCallbackHandler):
    """Passes the starts and ends of events to handlers, and keeps the trace map: which event has which children.

    Args:
        handlers: who is told; the list is kept as it is. None means nobody, and then events cost next to nothing.

    A handler whose methods are coroutine functions (`AsyncCallbackHandler`) is told in a thread of its own: `aclose` waits for it.
    The stack of open events belongs to the running task (or thread), so concurrent jobs never mix theirs. A handler that
    raises, or hangs, is reported once, switched off, and never breaks what it watches. Only a `StopRunError` does: all handlers are told
    of what happens, and then the first such error leaves the call. A copy has the handlers and nothing of what is going on.

    >>> from asyncrun.callbacks.llama_debug import LlamaDebugHandler
    >>> debug = LlamaDebugHandler(print_trace_on_end=False)
    >>> manager = CallbackManager([debug])
    >>> with manager.as_trace("nightly"), manager.event(CBEventType.QUERY):
    ...     with manager.event(CBEventType.EMBEDDING, payload={"texts": 2}) as event:
    ...         event.on_end(payload={"tokens": 9})
    >>> [pair[1].payload for pair in debug.get_event_pairs(CBEventType.EMBEDDING)]
    [{'tokens': 9}]
    """

    _pickled = ("handlers",)

    def __init__(self, handlers: list[BaseCallbackHandler] | None = None) -> None:
        super().__init__([], [])
        self.handlers: list[BaseCallbackHandler] = [] if handlers is None else handlers
        self._trace_map: dict[str, list[str]] = defaultdict(list)
        self._handler_threads = HandlerThreads()
        self.stopped: str | None = None
        """Why a handler has stopped the work last, None where none has."""
        _make_known_to_llama_index()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_handler_threads", "_trace_map", "stopped")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        CallbackManager.__init__(self)
        del self.handlers
        super().__setstate__(state)

    @property
    def trace_map(self) -> dict[str, list[str]]:
        """Return ids of events and those of their children: of the trace that is open here, else of the last one."""
        trace = trace_of(self)
        return trace.trace_map if trace else self._trace_map

    def add_handler(self, handler: BaseCallbackHandler) -> None:
        """Add a handler."""
        self.handlers.append(handler)

    def remove_handler(self, handler: BaseCallbackHandler) -> None:
        """Remove a handler. Raises ValueError when it is not there."""
        self.handlers.remove(handler)

    def set_handlers(self, handlers: list[BaseCallbackHandler]) -> None:
        """Make these the only handlers."""
        self.handlers = handlers

    def flush(self, seconds: float = FLUSH_TIMEOUT) -> bool:
        """Wait until asynchronous handlers have been told of everything so far; False when that takes longer than `seconds`."""
        return self._handler_threads.flush(seconds)

    async def aflush(self, seconds: float = FLUSH_TIMEOUT) -> bool:
        """Wait as `flush` does, without holding up the event loop."""
        return await asyncio.to_thread(self.flush, seconds)

    def close(self, seconds: float = FLUSH_TIMEOUT) -> None:
        """Tell asynchronous handlers of what they have not heard yet, for `seconds` at most, and end their threads."""
        self._handler_threads.close(seconds)

    async def aclose(self, seconds: float = FLUSH_TIMEOUT) -> None:
        """Close as `close` does, without holding up the event loop."""
        await asyncio.to_thread(self.close, seconds)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str | None = None,
        parent_id: str | None = None,
        *,
        without: object = None,
        **kwargs: Any,
    ) -> str:
        """Tell the handlers that an event starts, and return its id; the parent is the innermost open event.

        One of them can be left out: `without` knows of it in another way.
        """
        event_id = event_id or new_id()
        stack = open_events.get()
        stop: StopRunError | None = None
        if self.handlers:
            # As `innermost` does, without a call.
            inner = stack[-1]
            parent = parent_id or (inner if type(inner) is str else self.innermost())
            mapped = False
            for handler in self.handlers:
                if not mapped and getattr(handler, "uses_trace_map", True):
                    (self.trace_map if open_traces.get() else self._trace_map)[parent].append(event_id)
                    mapped = True
                if event_type not in handler.event_starts_to_ignore and handler is not without:
                    try:
                        # Unpacking even empty keywords costs more than the call itself.
                        if kwargs:
                            told: object = handler.on_event_start(event_type, payload, event_id=event_id, parent_id=parent, **kwargs)
                        else:
                            told = handler.on_event_start(event_type, payload, event_id=event_id, parent_id=parent)
                        if type(told) is CoroutineType and not self._handler_threads.send(handler, told):
                            self._remove(handler)
                    except OWN_FAULTS as error:
                        stop = self._judge(handler, error, stop)
        if event_type not in LEAF_EVENTS:
            open_events.set(stack + (event_id,))  # noqa: RUF005  # half the time of unpacking
        if stop is not None:
            self._raise(stop)
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str | None = None,
        *,
        without: object = None,
        **kwargs: Any,
    ) -> None:
        """Tell the handlers that an event ends, as its start; without `event_id` it is the innermost open one."""
        stack = open_events.get()
        ended = event_id or new_id()
        stop: StopRunError | None = None
        for handler in self.handlers:
            if event_type not in handler.event_ends_to_ignore and handler is not without:
                try:
                    if kwargs:
                        told: object = handler.on_event_end(event_type, payload, event_id=ended, **kwargs)
                    else:
                        told = handler.on_event_end(event_type, payload, event_id=ended)
                    if type(told) is CoroutineType and not self._handler_threads.send(handler, told):
                        self._remove(handler)
                except OWN_FAULTS as error:
                    stop = self._judge(handler, error, stop)
        if stack[-1] == ended:
            open_events.set(stack[:-1])
        elif event_type not in LEAF_EVENTS:
            if event_id is None and len(stack) > 1:
                open_events.set(stack[:-1])
            elif ended in stack[1:]:
                open_events.set(stack[: stack.index(ended, 1)])
        if stop is not None:
            self._raise(stop)

    def on_event_error(self, event_id: str, error: BaseException) -> None:
        """Tell the handlers that an exception leaves an event, whose end follows."""
        hooks = [(handler, getattr(handler, "on_event_error", None)) for handler in self.handlers]
        self._tell((handler, partial(hook, event_id, error)) for handler, hook in hooks if hook is not None)

    def event(self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str | None = None) -> EventContext:
        """Return a context manager that starts an event on entry and ends it on exit, if `on_end` has not been called by then.

        As a decorator it does so for every call of a function or coroutine function.
        """
        return EventContext(self, event_type, event_id, payload)

    @contextmanager
    def as_trace(self, trace_id: str) -> Generator[None, None, None]:
        """Open a trace for a while; an exception that no event has reported becomes an event of its own."""
        outer = enter_manager(self)
        try:
            self.start_trace(trace_id=trace_id)
            yield
        except Exception as error:
            if mark_reported(error):
                with self.event(CBEventType.EXCEPTION, payload={EventPayload.EXCEPTION: error}):
                    pass
            raise
        finally:
            try:
                self.end_trace(trace_id=trace_id)
            finally:
                enter_manager(outer)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Open a trace; handlers are told of the outermost one only. Without an id nothing happens."""
        if trace_id is None:
            return
        enclosing = trace_of(self)
        stack = open_events.get()
        trace = Trace(self, enclosing.trace_map if enclosing else defaultdict(list), stack)
        open_traces.set((*open_traces.get(), trace))
        if enclosing is None:
            open_events.set((BASE_TRACE_EVENT,))
            self._tell((handler, partial(handler.start_trace, trace_id=trace_id)) for handler in self.handlers)

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Close the innermost trace; handlers are told of the outermost one only, with its trace map."""
        trace = trace_of(self)
        if trace_id is None or trace is None:
            return
        open_traces.set(tuple(other for other in open_traces.get() if other is not trace))
        if trace_of(self) is not None:
            return
        self._trace_map = trace.trace_map
        open_events.set(trace.outer_stack)
        self._tell((handler, partial(handler.end_trace, trace_id=trace_id, trace_map=trace.trace_map)) for handler in self.handlers)

    def innermost(self) -> str:
        """Return the id of the innermost event that the running code is inside of."""
        event = open_events.get()[-1]
        return event if isinstance(event, str) else event[0].event_id(event[1])

    def _tell(self, calls: Iterable[tuple[BaseCallbackHandler, Callable[[], object]]]) -> None:
        stop: StopRunError | None = None
        for handler, call in calls:
            try:
                told = call()
                if type(told) is CoroutineType and not self._handler_threads.send(handler, told):
                    self._remove(handler)
            except OWN_FAULTS as error:
                stop = self._judge(handler, error, stop)
        if stop is not None:
            self._raise(stop)

    def _remove(self, handler: BaseCallbackHandler) -> None:
        # A new list: the one before it is being walked through.
        self.handlers = [other for other in self.handlers if other is not handler]

    def _judge(self, handler: BaseCallbackHandler, error: BaseException, stop: StopRunError | None) -> StopRunError | None:
        """Return the first stop that a handler has asked for; a handler that raises anything else is switched off."""
        if isinstance(error, StopRunError):
            return stop or error
        self._remove(handler)
        logger.warning("callback handler %s is switched off: it raised %s", type(handler).__name__, describe_error(error))
        return stop

    def _raise(self, stop: StopRunError) -> None:
        self.stopped = str(stop)
        raise stop

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, str]:
        """Let a manager be the field of a pydantic model, as it is."""
        return {"type": "any"}


def _make_known_to_llama_index() -> None:
    # Where it is in use: its language models put a manager of their own in the place of one that is not an instance of theirs.
    theirs = getattr(sys.modules.get("llama_index.core.callbacks.base"), "CallbackManager", None)
    if theirs is not None:
        theirs.register(CallbackManager)
