"""The events of a run as the page draws them: rows of a tree, bars on the tracks of a timeline, and the critical path over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from asyncrun.escape import printable
from asyncrun.trace.critical_path import Piece
from asyncrun.trace.run_record import MICROSECONDS, UNFINISHED
from asyncrun.trace.span_tree import DETAILS, SpanNode, lanes_of, percentiles_of_nodes, walk
from asyncrun.trace.trace_json import shown_values
from asyncrun.trace.used_concurrency import mean_levels, stretches_of
from asyncrun.trace.views.folded_tree import alike_groups

NO_TRACK = -1
LEVELS = 200
"""Parts of the time for each of which a lane says how much was going on at once."""
MOST_PIECES = 1000
"""Parts of the time of which each has one piece of the critical path at most."""


class PageRow(NamedTuple):
    """One line of the tree: an event, or many that are alike; times are microseconds since the run's start.

    `id` is that of the span, of many the negative one of the first: it stays while a run goes on, and the place of a row does not. `kind`,
    `name` and `status` are places in the list of texts. `track` is that of its bar in the timeline, `NO_TRACK` for none: what happens
    inside of a batch is drawn on the batch's track. `folded` is 1 for one span that stands for many events. `percentiles` (p50, p95,
    max) is there only for many events.
    """

    id: int
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
    folded: int
    percentiles: tuple[int, int, int] | None
    attributes: dict[str, Any] | None


class _Texts:
    """Texts by number, each once, control characters written out."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(printable(text), len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def page_events(forest: Sequence[SpanNode], brief: Sequence[SpanNode], path: Sequence[Piece], began: float) -> dict[str, Any]:
    """Return `{texts, rows, lanes, path, length}`; `began` is the run's start in seconds since 1970.

    `brief` is the same forest without what happens inside of batches. A lane is a job: its name, its first track, how many tracks it has,
    the row of the job itself, -1 where there is not one, and where events are folded `levels`: how many were open at once, in equal parts
    of the time. Bars on one track do not overlap, but for those inside of a batch. The path is a list of (start, end, row, or -1 between
    events).

    >>> from asyncrun.trace.run_record import Span
    >>> from asyncrun.trace.span_tree import build_forest
    >>> forest = build_forest([Span("r", 1, None, "query", "", 0.5, 1.0, "succeeded")])
    >>> data = page_events(forest, forest, (), began=0.0)
    >>> data["texts"], data["length"], data["lanes"]
    (['others', 'query', '', 'succeeded'], 1000000, [{'name': 0, 'first': 0, 'tracks': 1, 'levels': [], 'head': -1}])
    """
    texts = _Texts()
    tracks: dict[int, int] = {}
    lanes: list[dict[str, Any]] = []
    heads: list[SpanNode | None] = []
    first, end = 0, max((node.end for node in walk(brief)), default=began)
    at_once = lanes_of(brief)
    for name, nodes in lanes_of(forest).items():
        head = nodes[0] if len(nodes) == 1 and nodes[0].children else None
        count = _place(nodes if head is None else head.children, first, tracks)
        levels = _levels(at_once.get(name, ()), began, end)
        lanes.append({"name": texts.number(name), "first": first, "tracks": count, "levels": levels})
        heads.append(head)
        first += count
    rows: list[PageRow] = []
    places: dict[int, int] = {}
    for group, level in _groups(forest):
        if len(group) == 1:
            places[group[0].span.id] = len(rows)
        rows.append(_row(group, level, tracks, texts, began))
    return {
        "texts": texts.all(),
        "rows": rows,
        "lanes": [lane | {"head": places[head.span.id] if head else -1} for lane, head in zip(lanes, heads, strict=True)],
        "path": _path(path, places, began),
        "length": max((row.end for row in rows), default=0),
    }


def _levels(heads: Sequence[SpanNode], began: float, end: float) -> list[float]:
    """Return how many events were open at once, where some of them are folded and their own bars do not show it."""
    if not any(node.folded for node in walk(heads)):
        return []
    return [round(level, 1) for level in mean_levels(stretches_of(heads), began, end, LEVELS)]


def _place(heads: Iterable[SpanNode], first: int, tracks: dict[int, int]) -> int:
    """Give each event the lowest track that is free when it starts, and return how many tracks that took.

    Folded events lie below the others, each on a track of its own: when one of them ran is not known.
    """
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    count = 0
    nodes = list(walk(heads))
    # A parent's id is smaller than its children's, so it lies above them.
    for node in sorted((node for node in nodes if _has_track(node)), key=lambda node: (node.span.start, node.span.id)):
        while busy and busy[0][0] <= node.span.start:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, first + count)
            count += 1
        tracks[node.span.id] = heappop(free)
        heappush(busy, (node.end, tracks[node.span.id]))
    for node in nodes:
        if node.folded and node.span.type not in DETAILS:
            tracks[node.span.id] = first + count
            count += 1
    for node in nodes:
        if not node.folded:
            inside = (child for child in node.children if child.span.type in DETAILS and not child.folded)
            tracks.update((child.span.id, tracks[node.span.id]) for child in inside if node.span.id in tracks)
    return count


def _has_track(node: SpanNode) -> bool:
    return not node.folded and node.span.type not in DETAILS


def _groups(forest: Sequence[SpanNode]) -> Iterable[tuple[Sequence[SpanNode], int]]:
    waiting = [(group, 0) for group in reversed(alike_groups(forest))]
    while waiting:
        group, level = waiting.pop()
        yield group, level
        below = [[node] for node in group] if len(group) > 1 else alike_groups(group[0].children)
        waiting.extend((inner, level + 1) for inner in reversed(below))


def _row(group: Sequence[SpanNode], level: int, tracks: Mapping[int, int], texts: _Texts, began: float) -> PageRow:
    return _row_of_one(group[0], level, tracks, texts, began) if len(group) == 1 else _row_of_many(group, level, texts, began)


def _row_of_one(node: SpanNode, level: int, tracks: Mapping[int, int], texts: _Texts, began: float) -> PageRow:
    span = node.span
    return PageRow(
        span.id,
        level,
        texts.number(span.type),
        texts.number(span.name),
        texts.number(UNFINISHED if span.end is None else span.status),
        _micros(span.start - began),
        _micros(node.end - began),
        _micros(node.seconds),
        _micros(node.own_seconds),
        node.count,
        node.failed,
        tracks.get(span.id, NO_TRACK),
        int(node.folded),
        _spread([node]) if node.folded else None,
        {printable(key): shown_values(value) for key, value in span.attributes.items()} or None,
    )


def _row_of_many(group: Sequence[SpanNode], level: int, texts: _Texts, began: float) -> PageRow:
    span = group[0].span
    return PageRow(
        -span.id,
        level,
        texts.number(span.type),
        texts.number(span.name if all(node.span.name == span.name for node in group) else ""),
        texts.number(UNFINISHED if any(node.span.end is None for node in group) else ""),
        _micros(min(node.span.start for node in group) - began),
        _micros(max(node.end for node in group) - began),
        _micros(sum(node.seconds for node in group)),
        _micros(sum(node.own_seconds for node in group)),
        sum(node.count for node in group),
        sum(node.failed for node in group),
        NO_TRACK,
        0,
        _spread(group),
        None,
    )


def _spread(group: Sequence[SpanNode]) -> tuple[int, int, int]:
    percentiles = percentiles_of_nodes(group)
    return _micros(percentiles.p50), _micros(percentiles.p95), _micros(percentiles.most)


def _path(pieces: Sequence[Piece], places: Mapping[int, int], began: float) -> list[tuple[int, int, int]]:
    """Return the pieces of the path, the short ones of a job and a type together with those before them."""
    least = (pieces[-1].end - pieces[0].start) / MOST_PIECES if pieces else 0.0
    kept: list[Piece] = []
    for piece in pieces:
        same = kept and kept[-1].job is piece.job and _kind(kept[-1]) == _kind(piece)
        if same and min(kept[-1].seconds, piece.seconds) < least:
            longer = max(kept[-1], piece, key=lambda one: one.seconds)
            kept[-1] = Piece(kept[-1].start, piece.end, longer.node, piece.job)
        else:
            kept.append(piece)
    return [(_micros(piece.start - began), _micros(piece.end - began), _index(piece, places)) for piece in kept]


def _kind(piece: Piece) -> str | None:
    return None if piece.node is None else piece.node.span.type


def _index(piece: Piece, places: Mapping[int, int]) -> int:
    return -1 if piece.node is None else places.get(piece.node.span.id, -1)


def _micros(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
