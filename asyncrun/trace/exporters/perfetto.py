"""Chrome's trace event format, which the Perfetto UI and chrome://tracing open: a process a job, a track a worker.

The document "Trace Event Format" asks of complete events ("X") on one track that they nest: each pair lies apart, or one inside the
other. So a span goes to its parent's track only when it fits into it, else to the first track of the job that is free for as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.escape import printable
from asyncrun.trace.run_record import MICROSECONDS, RunRecord, Span
from asyncrun.trace.span_tree import SpanNode, build_forest, lanes_of


@dataclass(frozen=True, slots=True)
class _Slice:
    """One event on a track; `start` and `end` in microseconds."""

    node: SpanNode
    parent: int | None
    start: int
    end: int


class _Tracks:
    """The tracks of one process: for each what is open on it, the innermost last."""

    def __init__(self) -> None:
        self._open: list[list[_Slice]] = []
        self._track_of: dict[int, int] = {}

    def place(self, piece: _Slice) -> int:
        """Return the number of the track that takes an event; they come by their starts, a parent before its children."""
        above = None if piece.parent is None else self._track_of.get(piece.parent)
        if above is not None and self._is_inside(above, piece):
            return self._take(above, piece)
        for number in range(len(self._open)):
            if not self._still_open(number, piece.start):
                return self._take(number, piece)
        self._open.append([])
        return self._take(len(self._open) - 1, piece)

    def _is_inside(self, number: int, piece: _Slice) -> bool:
        still = self._still_open(number, piece.start)
        # Inside of a sibling it would look like that one's child.
        return bool(still) and still[-1].node.span.id == piece.parent and piece.end <= still[-1].end

    def _still_open(self, number: int, moment: int) -> list[_Slice]:
        pieces = self._open[number]
        while pieces and pieces[-1].end <= moment:
            pieces.pop()
        return pieces

    def _take(self, number: int, piece: _Slice) -> int:
        self._open[number].append(piece)
        self._track_of[piece.node.span.id] = number
        return number


def perfetto_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run as an object with `traceEvents`; times are microseconds since the run's start.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> [event["ph"] for event in perfetto_document(run, [Span("r", 1, None, "query", "", 0.5, 1.0, "succeeded")], 5.0)["traceEvents"]]
    ['M', 'M', 'X']
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


def _process(process: int, name: str, heads: Sequence[SpanNode], began: float) -> list[dict[str, Any]]:
    tracks = _Tracks()
    events = [_complete(process, tracks.place(piece) + 1, piece) for piece in _by_start(heads, began)]
    names = [_name("process_name", process, 0, name)]
    names += [_name("thread_name", process, track, f"worker {track}") for track in sorted({event["tid"] for event in events})]
    return [*names, *events]


def _by_start(heads: Sequence[SpanNode], began: float) -> list[_Slice]:
    found: list[_Slice] = []
    waiting: list[tuple[SpanNode, int | None]] = [(head, None) for head in heads]
    while waiting:
        node, parent = waiting.pop()
        start, end = (round((moment - began) * MICROSECONDS) for moment in (node.span.start, node.end))
        found.append(_Slice(node, parent, start, max(start, end)))
        waiting.extend((child, node.span.id) for child in node.children)
    # A parent's id is smaller than its children's.
    return sorted(found, key=lambda piece: (piece.start, piece.node.span.id))


def _complete(process: int, track: int, piece: _Slice) -> dict[str, Any]:
    span = piece.node.span
    arguments = {printable(key): printable(value) if isinstance(value, str) else value for key, value in span.attributes.items()}
    return {
        "name": printable(f"{span.title} x {piece.node.count}" if piece.node.folded else span.title),
        "cat": printable(span.type),
        "ph": "X",
        "ts": piece.start,
        "dur": piece.end - piece.start,
        "pid": process,
        "tid": track,
        "args": {"id": span.id, "status": printable("unfinished" if span.end is None else span.status), **arguments},
    }


def _name(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "ts": 0, "pid": process, "tid": track, "args": {"name": printable(name)}}
