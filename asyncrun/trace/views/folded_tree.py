"""The trace map as a tree: LlamaIndex's form, with names; more than eight equal siblings are folded into one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asyncrun.humanize import duration
from asyncrun.trace.run_record import UNFINISHED, Span
from asyncrun.trace.span_tree import SpanNode, build_forest, percentiles_of_nodes
from asyncrun.trace.views.styled_text import (
    Style,
    StyledLine,
    StyledPart,
    StyledText,
    Word,
    columns,
    fit,
    line,
    line_text,
    one_line,
    shorten,
    style_of,
)

MOST_ALIKE = 8
"""Siblings of one type and name that are shown one by one; more are folded into one line."""
MOST_NAMES_SHOWN = 50
"""Siblings of one type with different names that are shown by name; more count as alike."""
FIRST_LEVEL = 2
SHORTEST_LABEL = 8
STARS = "*" * 10
MOST_LINES = 100
"""Lines of a trace map at the end of a run."""


def render_tree(spans: Sequence[Span], width: int, most_lines: int | None = None) -> StyledText:
    """Return the trace map of a run, no line wider than `width`; `spans` are ordered by id.

    A line is `|_<type> <name> -> <seconds> s`. Equal siblings fold into `|_<type> x <count> -> <sum> s (p50, p95, max)`, and
    their children are shown together below it. A map of more than `most_lines` is folded further, and then ends below its roots.
    """
    roots = build_forest(spans)
    lines = _lines(roots, width, MOST_ALIKE)
    if most_lines is not None and len(lines) > most_lines:
        lines = _lines(roots, width, 1)
    if most_lines is not None and len(lines) > most_lines:
        below = fit(width, StyledPart(f"{'  ' * FIRST_LEVEL}what is below them: asyncrun trace", Style.FAINT))
        lines = [*_lines([replace(node, children=()) for node in roots], width, 1), below]
    stars = line(StyledPart(STARS, Style.FAINT))
    title = fit(width, StyledPart(f"Trace: {one_line(spans[0].run_id)}" if spans else "Trace: no events", Style.TITLE))
    return StyledText((stars, title, *lines, stars))


def _lines(roots: Sequence[SpanNode], width: int, most_alike: int) -> list[StyledLine]:
    lines = []
    waiting = [(group, FIRST_LEVEL) for group in reversed(alike_groups(roots, most_alike))]
    while waiting:
        group, level = waiting.pop()
        lines.append(_line(group, level, width))
        below = [child for node in group for child in node.children]
        waiting.extend((inner, level + 1) for inner in reversed(alike_groups(below, most_alike)))
    return lines


def alike_groups(siblings: Sequence[SpanNode], most_alike: int = MOST_ALIKE) -> list[list[SpanNode]]:
    """Return the siblings, in order, one by one or, where more than `most_alike` are alike, together at the place of the first."""
    names: dict[str, set[str]] = {}
    for node in siblings:
        names.setdefault(node.span.type, set()).add(node.span.name)
    alike: dict[tuple[str, str], list[SpanNode]] = {}
    for node in siblings:
        alike.setdefault(_key(node, names), []).append(node)
    groups: list[list[SpanNode]] = []
    for node in siblings:
        group = alike[_key(node, names)]
        if len(group) <= most_alike and not any(other.folded for other in group):
            groups.append([node])
        elif node is group[0]:
            groups.append(group)
    return groups


def _key(node: SpanNode, names: dict[str, set[str]]) -> tuple[str, str]:
    kind = node.span.type
    return kind, node.span.name if len(names[kind]) <= MOST_NAMES_SHOWN else ""


def _line(group: Sequence[SpanNode], level: int, width: int) -> StyledLine:
    # In a narrow terminal deep levels stop moving to the right.
    head = "  " * min(level, max(width // 8, 1)) + "|_"
    span = group[0].span
    label = one_line(span.type)
    if span.name and all(node.span.name == span.name for node in group):
        label += f" {one_line(span.name)}"
    tails = _tails(group)
    room = [width - columns(head) - columns(line_text(tail)) for tail in tails]
    enough = min(columns(label), SHORTEST_LABEL)
    chosen = next((index for index, size in enumerate(room) if size >= enough), len(tails) - 1)
    return fit(width, StyledPart(head, Style.FAINT), shorten(label, max(room[chosen], 1)), *tails[chosen])


def _tails(group: Sequence[SpanNode]) -> list[StyledLine]:
    """Return the ends that a line may have, the most telling first."""
    open_count = sum(node.span.end is None for node in group)
    if len(group) == 1 and not group[0].folded:
        took = duration(group[0].seconds)
        if open_count:
            unfinished = StyledPart(UNFINISHED, style_of(UNFINISHED))
            return [line(" -> ", unfinished, f" ({took} so far)"), line(" -> ", unfinished)]
        status = group[0].span.status
        said: list[Word] = [] if status == "succeeded" else [" (", StyledPart(shorten(one_line(status), 20), style_of(status)), ")"]
        return [line(f" -> {took}", *said), line(f" -> {took}")]
    count = sum(node.count for node in group)
    sums = f" x {count} -> {duration(sum(node.seconds for node in group))}"
    failed = sum(node.failed for node in group)
    odd = [StyledPart(f"{number} {word}", style_of(word)) for number, word in ((failed, "failed"), (open_count, UNFINISHED)) if number]
    short = line(sums, *_in_brackets(odd))
    if open_count == count:
        return [short, line(sums)]
    percentiles = percentiles_of_nodes(group)
    took_each = (("p50", percentiles.p50), ("p95", percentiles.p95), ("max", percentiles.most))
    parts = [StyledPart(f"{name} {duration(seconds)}") for name, seconds in took_each]
    return [line(sums, *_in_brackets(parts + odd)), short, line(sums)]


def _in_brackets(parts: Sequence[StyledPart]) -> list[Word]:
    if not parts:
        return []
    words = [word for part in parts for word in (", ", part)]
    return [" (", *words[1:], ")"]
