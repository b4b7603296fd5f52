"""The base of handlers that print what they have seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from asyncrun.callbacks.base_handler import BaseCallbackHandler
from asyncrun.callbacks.schema import CBEventType


class PythonicallyPrintingBaseHandler(BaseCallbackHandler):
    """The base of handlers that print through a logger.

    Args:
        event_starts_to_ignore: types whose starts the manager does not report.
        event_ends_to_ignore: types whose ends the manager does not report.
        logger: is told at debug level; None means standard output.

    >>> from asyncrun import CallbackManager
    >>> class Starts(PythonicallyPrintingBaseHandler):
    ...     def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
    ...         self._print(f"{event_type.value} starts")
    ...     def on_event_end(self, event_type, payload=None, event_id="", **kwargs): ...
    >>> with CallbackManager([Starts()]).event(CBEventType.QUERY):
    ...     pass
    query starts
    """

    _pickled = (*BaseCallbackHandler._pickled, "logger")

    def __init__(
        self,
        event_starts_to_ignore: Sequence[CBEventType] | None = None,
        event_ends_to_ignore: Sequence[CBEventType] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(event_starts_to_ignore or (), event_ends_to_ignore or ())
        self.logger = logger

    def start_trace(self, trace_id: str | None = None) -> None:
        """Take the start of the outermost trace: nothing is done."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Take the end of the outermost trace: nothing is done."""

    def _print(self, print_str: str) -> None:
        if self.logger is not None:
            self.logger.debug(print_str)
        else:
            print(print_str, flush=True)  # noqa: T201 - what a handler without a logger is for
