"""The base classes of handlers, told of events and traces at once or by calls that are awaited; and how an error of theirs is reported."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import ArgumentError
from asyncrun.escape import printable
from asyncrun.redact import Redactor
from asyncrun.short_help import ShortHelpABC


class BaseCallbackHandler(metaclass=ShortHelpABC):
    """Is told when events start and end, and when a trace does.

    Args:
        event_starts_to_ignore: types whose starts the manager does not report.
        event_ends_to_ignore: types whose ends the manager does not report.

    The calls are made where the event happens, on the event loop or a worker thread, so they should return at once.
    A handler that raises is switched off; the work that it watches goes on. One that raises `StopRunError` stops the work: the error
    leaves the place where the event happens.

    >>> from asyncrun import CallbackManager
    >>> class Starts(BaseCallbackHandler):
    ...     def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
    ...         print(event_type.value, "starts")
    ...     def on_event_end(self, event_type, payload=None, event_id="", **kwargs): ...
    ...     def start_trace(self, trace_id=None): ...
    ...     def end_trace(self, trace_id=None, trace_map=None): ...
    >>> with CallbackManager([Starts([], [])]).event(CBEventType.QUERY):
    ...     pass
    query starts
    """

    uses_trace_map: ClassVar[bool] = True
    """False spares the manager the trace map of long runs, when no handler asks for it; `end_trace` then gets an empty one."""
    _pickled: ClassVar[tuple[str, ...]] = ("event_starts_to_ignore", "event_ends_to_ignore")
    """What a pickle must hold, or else it is of another version; what it holds besides does no harm."""

    def __init__(self, event_starts_to_ignore: Sequence[CBEventType], event_ends_to_ignore: Sequence[CBEventType]) -> None:
        self.event_starts_to_ignore = tuple(event_starts_to_ignore)
        self.event_ends_to_ignore = tuple(event_ends_to_ignore)

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        vars(self).update(attributes or {})
        for name, value in (slots or {}).items():
            setattr(self, name, value)
        missing = [name.lstrip("_") for name in self._pickled if not hasattr(self, name)]
        if missing:
            raise ArgumentError(
                f"this {type(self).__name__} was pickled by another version of asyncrun, without {', '.join(missing)}",
                hint="Make it anew, or read it with the version that wrote it.",
            )

    # They return Any, so that those of a derived class may as well be coroutine functions.
    @abstractmethod
    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> Any:
        """Take the start of an event and return its id."""

    @abstractmethod
    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> Any:
        """Take the end of an event."""

    @abstractmethod
    def start_trace(self, trace_id: str | None = None) -> Any:
        """Take the start of the outermost trace."""

    @abstractmethod
    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> Any:
        """Take the end of the outermost trace; `trace_map` names the children of every event that has some."""

    # Not abstract: handlers written for LlamaIndex do not have it.
    def on_event_error(self, event_id: str, error: BaseException) -> Any:
        """Take an exception that leaves an event, just before its end.

        Every event that the exception passes through is told, whereas only the innermost has it in the payload of its end.
        """


LONGEST_REPORT = 200
"""Characters of an error's own message that a report shows."""


def describe_error(error: BaseException) -> str:
    """Return the class and message of an error of other people's code, on one line, without secrets, also where its `__str__` fails.

    >>> describe_error(ValueError("not so"))
    'ValueError: not so'
    """
    return f"{type(error).__name__}: {printable(Redactor().redact(message_of(error)), LONGEST_REPORT)}"


def message_of(error: BaseException) -> str:
    """Return what an error says itself, as it is."""
    try:
        return str(error)
    except Exception:
        return "(it cannot say why)"
