"""The trace map as a tree: LlamaIndex's form, with names, and with many equal siblings folded into one line."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.trace.analysis import Node, build_forest, spread_of_nodes
from asyncrun.trace.records import Span
from asyncrun.trace.views.text import clean, columns, seconds, shorten

MOST_ALIKE = 8
"""Siblings of one type and name that are shown one by one; more are folded into one line."""
MOST_NAMES = 50
"""Siblings of one type with different names that are shown by name; more count as alike."""
SHORTEST_LABEL = 8
STARS = "*" * 10


def render_tree(spans: Sequence[Span], width: int) -> str:
    """Return the trace map of a run, no line wider than `width`; `spans` are ordered by id.

    A line is `|_<type> <name> -> <seconds> s`. Equal siblings fold into `|_<type> x <count> -> <sum> s (p50, p95, max)`, and
    their children are shown together below it.
    """
    lines = [STARS, shorten(f"Trace: {clean(spans[0].run_id)}" if spans else "Trace: no events", width)]
    waiting = [(group, 2) for group in reversed(alike_groups(build_forest(spans)))]
    while waiting:
        group, level = waiting.pop()
        lines.append(_line(group, level, width))
        below = [child for node in group for child in node.children]
        waiting.extend((inner, level + 1) for inner in reversed(alike_groups(below)))
    return "\n".join([*lines, STARS])


def alike_groups(siblings: Sequence[Node]) -> list[list[Node]]:
    """Return the siblings, in order, one by one or, where many are alike, together at the place of the first."""
    names: dict[str, set[str]] = {}
    for node in siblings:
        names.setdefault(node.span.type, set()).add(node.span.name)
    alike: dict[tuple[str, str], list[Node]] = {}
    for node in siblings:
        alike.setdefault(_key(node, names), []).append(node)
    groups: list[list[Node]] = []
    for node in siblings:
        group = alike[_key(node, names)]
        if len(group) <= MOST_ALIKE and not any(other.folded for other in group):
            groups.append([node])
        elif node is group[0]:
            groups.append(group)
    return groups


def _key(node: Node, names: dict[str, set[str]]) -> tuple[str, str]:
    kind = node.span.type
    return kind, node.span.name if len(names[kind]) <= MOST_NAMES else ""


def _line(group: Sequence[Node], level: int, width: int) -> str:
    # In a narrow terminal deep levels stop moving to the right.
    head = "  " * min(level, max(width // 8, 1)) + "|_"
    span = group[0].span
    label = clean(span.type)
    if span.name and all(node.span.name == span.name for node in group):
        label += f" {clean(span.name)}"
    tails = _tails(group)
    room = [width - columns(head) - columns(tail) for tail in tails]
    enough = min(columns(label), SHORTEST_LABEL)
    chosen = next((index for index, size in enumerate(room) if size >= enough), len(tails) - 1)
    return shorten(head + shorten(label, max(room[chosen], 1)) + tails[chosen], width)


def _tails(group: Sequence[Node]) -> list[str]:
    """Return the ends that a line may have, the most telling first."""
    open_count = sum(node.span.end is None for node in group)
    if len(group) == 1 and not group[0].folded:
        took = f"{seconds(group[0].seconds)} s"
        if open_count:
            return [f" -> unfinished ({took} so far)", " -> unfinished"]
        status = group[0].span.status
        return [f" -> {took}" + ("" if status == "succeeded" else f" ({shorten(clean(status), 20)})"), f" -> {took}"]
    count = sum(node.count for node in group)
    sums = f" x {count} -> {seconds(sum(node.seconds for node in group))} s"
    failed = sum(node.failed for node in group)
    odd = [f"{number} {word}" for number, word in ((failed, "failed"), (open_count, "unfinished")) if number]
    short = f"{sums} ({', '.join(odd)})" if odd else sums
    if open_count == count:
        return [short, sums]
    spread = spread_of_nodes(group)
    parts = [f"p50 {seconds(spread.p50)}", f"p95 {seconds(spread.p95)}", f"max {seconds(spread.most)}"]
    return [f"{sums} ({', '.join(parts + odd)})", short, sums]
