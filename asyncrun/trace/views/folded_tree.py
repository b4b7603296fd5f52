"""The trace map as a tree: LlamaIndex's form, with names; more than eight equal siblings are folded into one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
NARROW = 30
"""Columns below which a line has no room for both type and name."""
SHORTEST_LABEL = 8
STARS = "*" * 10
MOST_LINES = 100
"""Lines of a whole trace map at the end of a run."""
LEAST_BRIEF_LINES = 8
"""Lines of events that the short map at the end of a run has at least; more jobs have two each."""
MOST_BRIEF_NAMES = 20
"""Outermost events that the short map names; more are folded."""


def render_tree(spans: Sequence[Span], width: int, most_lines: int | None = None) -> StyledText:
    """Return the trace map of a run, no line wider than `width`; `spans` are ordered by id.

    A line is `|_<type> <name> -> <seconds> s`. Equal siblings fold into `|_<type> x <count> -> <sum> s (p50, p95, max)`, and
    their children are shown together below it. With `most_lines` they are folded only in a map that has more, further in one that still
    has more, and then it ends below its roots.
    """
    roots = build_forest(spans)
    fits = most_lines is not None and len(spans) <= most_lines
    lines = _lines(roots, width, len(spans) if fits else MOST_ALIKE)
    if most_lines is not None and len(lines) > most_lines:
        lines = _lines(roots, width, 1)
    if most_lines is not None and len(lines) > most_lines:
        below = fit(width, StyledPart(f"{'  ' * FIRST_LEVEL}what is below them: asyncrun trace", Style.FAINT))
        lines = [*_lines([replace(node, children=()) for node in roots], width, 1), below]
    return _framed(spans, lines, width)


def render_brief_tree(spans: Sequence[Span], width: int) -> StyledText:
    """Return the trace map of a run with few lines, none wider than `width`: all equal siblings are folded into one line.

    A batch counts as one thing, without its attempts and waits. The outermost events are all there, and below them what failed and what
    took longest; what is left out is said in the title.
    """
    roots = alike_groups(build_forest(spans, details=False), 1, MOST_BRIEF_NAMES)
    groups = list(_groups(roots, 1))
    room = max(LEAST_BRIEF_LINES, 2 * len(roots)) - len(roots)
    chosen = {at for at, (_, _, parent) in enumerate(groups) if parent is None}
    ranked = sorted(range(len(groups)), key=lambda at: _rank(groups[at][0]))
    while room > 0:
        nearest = next((at for at in ranked if at not in chosen and groups[at][2] in chosen), None)
        if nearest is None:
            break
        chosen.add(nearest)
        room -= 1
    left_out = StyledPart(" (what took longest; all: asyncrun trace)", Style.FAINT) if len(chosen) < len(groups) else ""
    lines = [_line(group, level, width) for at, (group, level, _) in enumerate(groups) if at in chosen]
    return _framed(spans, lines, width, left_out)


def _framed(spans: Sequence[Span], lines: Sequence[StyledLine], width: int, note: Word = "") -> StyledText:
    stars = line(StyledPart(STARS, Style.FAINT))
    title = StyledPart(f"Trace: {one_line(spans[0].run_id)}" if spans else "Trace: no events", Style.TITLE)
    whole = line(title, note)
    return StyledText((stars, whole if columns(line_text(whole)) <= width else fit(width, title), *lines, stars))


def _rank(group: Sequence[SpanNode]) -> tuple[bool, float]:
    return not sum(node.failed for node in group), -sum(node.seconds for node in group)


def _groups(roots: Sequence[list[SpanNode]], most_alike: int) -> Iterator[tuple[list[SpanNode], int, int | None]]:
    """Yield all groups, a parent before its children, each with its level and the number of its parent."""
    waiting: list[tuple[list[SpanNode], int, int | None]] = [(group, FIRST_LEVEL, None) for group in reversed(roots)]
    number = 0
    while waiting:
        group, level, parent = waiting.pop()
        yield group, level, parent
        below = [child for node in group for child in node.children]
        waiting.extend((inner, level + 1, number) for inner in reversed(alike_groups(below, most_alike)))
        number += 1


def _lines(roots: Sequence[SpanNode], width: int, most_alike: int) -> list[StyledLine]:
    return [_line(group, level, width) for group, level, _ in _groups(alike_groups(roots, most_alike), most_alike)]


def alike_groups(siblings: Sequence[SpanNode], most_alike: int = MOST_ALIKE, most_names: int = MOST_NAMES_SHOWN) -> list[list[SpanNode]]:
    """Return the siblings, in order, one by one or, where more than `most_alike` are alike, together at the place of the first.

    Where those of one type have more than `most_names` names, these make no difference.
    """
    names: dict[str, set[str]] = {}
    for node in siblings:
        names.setdefault(node.span.type, set()).add(node.span.name)
    alike: dict[tuple[str, str], list[SpanNode]] = {}
    for node in siblings:
        alike.setdefault(_key(node, names, most_names), []).append(node)
    together = {key for key, group in alike.items() if len(group) > most_alike or any(node.folded for node in group)}
    groups: list[list[SpanNode]] = []
    for node in siblings:
        key = _key(node, names, most_names)
        group = alike[key]
        if key not in together:
            groups.append([node])
        elif node is group[0]:
            groups.append(group)
    return groups


def _key(node: SpanNode, names: dict[str, set[str]], most_names: int) -> tuple[str, str]:
    kind = node.span.type
    return kind, node.span.name if len(names[kind]) <= most_names else ""


def _line(group: Sequence[SpanNode], level: int, width: int) -> StyledLine:
    # In a narrow terminal deep levels stop moving to the right.
    head = "  " * min(level, width // 8 if width >= NARROW else 1) + "|_"
    span = group[0].span
    label = one_line(span.type)
    if span.name and all(node.span.name == span.name for node in group):
        label = f"{label} {one_line(span.name)}" if width >= NARROW else one_line(span.name)
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
