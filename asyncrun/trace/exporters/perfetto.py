"""Chrome's trace event format, which the Perfetto UI and chrome://tracing open: a process for each job, a track for each worker.

The document "Trace Event Format" asks of complete events ("X") on one track that they nest: each pair lies apart, or one inside the
other. So a span goes to its parent's track only when it fits into it, else to the first track of the job that is free for as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncrun.escape import printable
from asyncrun.trace.analysis import Node, build_forest
from asyncrun.trace.records import RunRecord, Span
from asyncrun.trace.views.jobs import lanes_of

MICROSECONDS = 1_000_000


@dataclass(slots=True)
class _Tracks:
    """The tracks of one process: for each the ends of what is open on it, the innermost last."""

    open: list[list[int]] = field(default_factory=list)

    def place(self, start: int, end: int, preferred: int | None) -> int:
        """Return the number of the track that takes an event from `start` to `end`; starts never decrease."""
        if preferred is not None and self._nests(preferred, start, end):
            return self._take(preferred, end)
        for number in range(len(self.open)):
            if number != preferred and self._free(number, start):
                return self._take(number, end)
        self.open.append([])
        return self._take(len(self.open) - 1, end)

    def _nests(self, number: int, start: int, end: int) -> bool:
        self._close(number, start)
        return not self.open[number] or end <= self.open[number][-1]

    def _free(self, number: int, start: int) -> bool:
        self._close(number, start)
        return not self.open[number]

    def _close(self, number: int, start: int) -> None:
        ends = self.open[number]
        while ends and ends[-1] <= start:
            ends.pop()

    def _take(self, number: int, end: int) -> int:
        self.open[number].append(end)
        return number


def perfetto_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run as an object with `traceEvents`; times are microseconds since the run's start.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> [event["ph"] for event in perfetto_document(run, [Span("r", 1, None, "query", "", 0.5, 1.0, "succeeded")], 5.0)["traceEvents"]]
    ['M', 'M', 'M', 'X']
    """
    events: list[dict[str, Any]] = []
    for process, (name, heads) in enumerate(lanes_of(build_forest(spans)).items(), 1):
        events += _process(process, name, heads, run.started)
    about = {"run_id": run.run_id, "status": run.status_at(now), "job_file": run.job_file or "", "version": run.version, "host": run.host}
    return {
        "displayTimeUnit": "ms",
        "otherData": {key: printable(value) for key, value in about.items()},
        "traceEvents": events,
    }


def _process(process: int, name: str, heads: Sequence[Node], began: float) -> list[dict[str, Any]]:
    tracks, events = _Tracks(), []
    for node, parent, start, end in _by_start(heads, began):
        track = tracks.place(start, end, placed.get(parent) if parent is not None else None) if (placed := _placed(events)) else None
        events.append((node, track, start, end))
    return []


def _placed(events: list[Any]) -> dict[int, int]:
    return {}
