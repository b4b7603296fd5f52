"""What the page shows, as data: the rows of its tree in reading order, and the lanes of its timeline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from asyncrun.escape import printable
from asyncrun.trace.run_record import UNFINISHED
from asyncrun.trace.span_tree import Node, spread_of_nodes, walk
from asyncrun.trace.views.jobs import lanes_of
from asyncrun.trace.views.tree import alike_groups

MICROSECONDS = 1_000_000


class Row(NamedTuple):
    """One line of the tree: an event, or many that are alike; times are microseconds since the run's start.

    `kind`, `name` and `status` are places in the list of texts. `track` is the event's track in the timeline, -1 for none.
    `spread` (p50, p95, max) is there only for many events.
    """

    level: int
    kind: int
    name: int
    status: int
    start: int
    end: int
    seconds: int
    own: int
    events: int
    failed: int
    track: int
    spread: tuple[int, int, int] | None
    attributes: dict[str, Any] | None


class _Texts:
    """Texts by number, each once, control characters written out."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(printable(text), len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def page_data(forest: Sequence[Node], began: float) -> dict[str, Any]:
    """Return `{texts, rows, lanes, length}`; `began` is the run's start in seconds since 1970.

    A lane is a job: its name, its first track and how many tracks it has. Bars on one track do not overlap.

    >>> from asyncrun.trace.span_tree import build_forest
    >>> from asyncrun.trace.run_record import Span
    >>> data = page_data(build_forest([Span("r", 1, None, "query", "", 0.5, 1.0, "succeeded")]), began=0.0)
    >>> data["texts"], data["length"], data["lanes"]
    (['others', 'query', '', 'succeeded'], 1000000, [{'name': 0, 'first': 0, 'tracks': 1}])
    """
    texts = _Texts()
    tracks: dict[int, int] = {}
    lanes = []
    first = 0
    for name, heads in lanes_of(forest).items():
        count = _place(heads, first, tracks)
        lanes.append({"name": texts.number(name), "first": first, "tracks": count})
        first += count
    rows = list(_rows(forest, tracks, texts, began))
    return {"texts": texts.all(), "rows": rows, "lanes": lanes, "length": max((row.end for row in rows), default=0)}


def _place(heads: Iterable[Node], first: int, tracks: dict[int, int]) -> int:
    """Give each event the lowest track that is free when it starts, and return how many tracks that took."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    count = 0
    # A parent's id is smaller than its children's, so it lies above them.
    for node in sorted(walk(heads), key=lambda node: (node.span.start, node.span.id)):
        while busy and busy[0][0] <= node.span.start:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, first + count)
            count += 1
        tracks[node.span.id] = heappop(free)
        heappush(busy, (node.end, tracks[node.span.id]))
    return count


def _rows(forest: Sequence[Node], tracks: Mapping[int, int], texts: _Texts, began: float) -> Iterable[Row]:
    waiting = [(group, 0) for group in reversed(alike_groups(forest))]
    while waiting:
        group, level = waiting.pop()
        yield _row(group, level, tracks, texts, began)
        below = [[node] for node in group] if len(group) > 1 else alike_groups(group[0].children)
        waiting.extend((inner, level + 1) for inner in reversed(below))


def _row(group: Sequence[Node], level: int, tracks: Mapping[int, int], texts: _Texts, began: float) -> Row:
    span, alone = group[0].span, len(group) == 1
    name = span.name if all(node.span.name == span.name for node in group) else ""
    status = UNFINISHED if any(node.span.end is None for node in group) else span.status if alone else ""
    spread = spread_of_nodes(group) if not alone or group[0].folded else None
    return Row(
        level,
        texts.number(span.type),
        texts.number(name),
        texts.number(status),
        _micros(min(node.span.start for node in group) - began),
        _micros(max(node.end for node in group) - began),
        _micros(sum(node.seconds for node in group)),
        _micros(sum(node.own_seconds for node in group)),
        sum(node.count for node in group),
        sum(node.failed for node in group),
        tracks.get(span.id, -1) if alone else -1,
        None if spread is None else (_micros(spread.p50), _micros(spread.p95), _micros(spread.most)),
        ({printable(key): _shown(value) for key, value in span.attributes.items()} or None) if alone else None,
    )


def _micros(seconds: float) -> int:
    return round(seconds * MICROSECONDS)


def _shown(value: object) -> object:
    # JSON has no word for a number without an end.
    finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if finite else printable(str(value))
