"""The debug handler: keeps every event of a program, pairs starts with ends, and prints the trace map."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

from asyncrun.callbacks.pythonically_printing_base_handler import PythonicallyPrintingBaseHandler
from asyncrun.callbacks.schema import BASE_TRACE_EVENT, CBEvent, CBEventType, EventStats, new_id

_WAYS_TO_KEEP = ("_unsorted", "_keep", "_sorting", "_by_type", "_by_id", "_in_order")


class LlamaDebugHandler(PythonicallyPrintingBaseHandler):
    """Keeps the starts and ends of events, by type and by id.

    Args:
        event_starts_to_ignore: types whose starts are not kept.
        event_ends_to_ignore: types whose ends are not kept.
        print_trace_on_end: whether to print the trace map when the outermost trace ends.
        logger: where to print (at debug level); None means stdout.

    Everything is kept in memory, payloads too, until `flush_event_logs`.

    >>> from asyncrun import CallbackManager, run_jobs, asyncio_run
    >>> debug = LlamaDebugHandler(print_trace_on_end=False)
    >>> async def double(number):
    ...     return 2 * number
    >>> asyncio_run(run_jobs([double(1), double(2)], callback_manager=CallbackManager([debug])))
    [2, 4]
    >>> debug.get_event_time_info(CBEventType.ASYNC_JOB).total_count
    2
    """

    _pickled = (*PythonicallyPrintingBaseHandler._pickled, "events", "print_trace_on_end", "_trace_id", "_trace_map")

    def __init__(
        self,
        event_starts_to_ignore: Sequence[CBEventType] | None = None,
        event_ends_to_ignore: Sequence[CBEventType] | None = None,
        print_trace_on_end: bool = True,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(event_starts_to_ignore, event_ends_to_ignore, logger)
        self.print_trace_on_end = print_trace_on_end
        self._trace_id: str | None = None
        self._trace_map: dict[str, list[str]] = {}
        self._begin()

    def _begin(self) -> None:
        # Events are made when they are looked at: formatting a time costs more than everything else on the way here. Until then
        # four values an event lie side by side: objects that are kept make the garbage collector walk the whole heap more often.
        self._unsorted: deque[Any] = deque()
        self._keep = self._unsorted.extend
        self._sorting = threading.Lock()
        self.flush_event_logs()

    def __getstate__(self) -> dict[str, Any]:
        # The events as they came, in a list of the copy's own: it is not told of what is told to this one.
        return {name: value for name, value in vars(self).items() if name not in _WAYS_TO_KEEP} | {"events": list(self.sequential_events)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._begin()
        for event in vars(self).pop("events"):
            self._add(event)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Keep the start of an event and return its id."""
        event_id = event_id or new_id()
        self._keep((event_type, payload, event_id, perf_counter_ns()))
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Keep the end of an event."""
        self._keep((event_type, payload, event_id, perf_counter_ns()))

    def get_events(self, event_type: CBEventType | None = None) -> list[CBEvent]:
        """Return the starts and ends, of all types or of one, as they came."""
        return self.sequential_events if event_type is None else self.event_pairs_by_type[event_type]

    def get_event_pairs(self, event_type: CBEventType | None = None) -> list[list[CBEvent]]:
        """Return [start, end] of each event, by their start; an event that is still open has one part."""
        pairs: dict[str, list[CBEvent]] = defaultdict(list)
        for event in self.get_events(event_type):
            pairs[event.id_].append(event)
        return sorted(pairs.values(), key=lambda pair: pair[0].tick)

    def get_llm_inputs_outputs(self) -> list[list[CBEvent]]:
        """Return the pairs of calls to language models: their payloads hold what was sent and what came back."""
        return self.get_event_pairs(CBEventType.LLM)

    def get_event_time_info(self, event_type: CBEventType | None = None) -> EventStats:
        """Return how long events took, of all types or of one."""
        return _stats(self.get_event_pairs(event_type))

    def flush_event_logs(self) -> None:
        """Forget all events."""
        self._unsorted.clear()
        self._by_type: dict[CBEventType, list[CBEvent]] = defaultdict(list)
        self._by_id: dict[str, list[CBEvent]] = defaultdict(list)
        self._in_order: list[CBEvent] = []

    def start_trace(self, trace_id: str | None = None) -> None:
        """Begin a trace."""
        self._trace_map = {}
        self._trace_id = trace_id

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Take the trace map, and print it if that is wished."""
        self._trace_map = trace_map or {}
        if self.print_trace_on_end:
            self.print_trace_map()

    def print_trace_map(self) -> None:
        """Print the events of the latest trace as a tree, with their seconds."""
        self._print("*" * 10)
        self._print(f"Trace: {self._trace_id}")
        by_id = self.events_pairs_by_id
        waiting = [(BASE_TRACE_EVENT, 1)]
        while waiting:
            event_id, level = waiting.pop()
            pair = by_id.get(event_id)
            if pair:
                self._print(f"{'  ' * level}|_{pair[0].event_type} -> {round(_seconds(pair), 6)} seconds")
            waiting.extend((child, level + 1) for child in reversed(self._trace_map.get(event_id, ())))
        self._print("*" * 10)

    @property
    def event_pairs_by_type(self) -> dict[CBEventType, list[CBEvent]]:
        """Return the starts and ends by type."""
        self._sort()
        return self._by_type

    @property
    def events_pairs_by_id(self) -> dict[str, list[CBEvent]]:
        """Return the starts and ends by id."""
        self._sort()
        return self._by_id

    @property
    def sequential_events(self) -> list[CBEvent]:
        """Return the starts and ends as they came."""
        self._sort()
        return self._in_order

    def _sort(self) -> None:
        take = self._unsorted.popleft
        with self._sorting:
            while self._unsorted:
                self._add(CBEvent(event_type=take(), payload=take(), id_=take(), tick=take()))

    def _add(self, event: CBEvent) -> None:
        self._by_type[event.event_type].append(event)
        self._by_id[event.id_].append(event)
        self._in_order.append(event)


def _seconds(pair: list[CBEvent]) -> float:
    return (pair[-1].tick - pair[0].tick) / 1e9


def _stats(pairs: list[list[CBEvent]]) -> EventStats:
    total = sum(map(_seconds, pairs))
    return EventStats(total_secs=total, average_secs=total / len(pairs) if pairs else 0.0, total_count=len(pairs))
