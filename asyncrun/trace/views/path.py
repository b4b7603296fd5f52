"""The critical path as a table, and how much of the allowed concurrency the jobs used."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.duration import duration
from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.run_record import Span
from asyncrun.trace.span_tree import WAITS, Node, build_forest
from asyncrun.trace.used_concurrency import concurrency_of
from asyncrun.trace.views.jobs import lanes_of
from asyncrun.trace.views.styled_text import Line, Part, Style, Styled, fit
from asyncrun.trace.views.table import Column, render_table

MOST_PARTS = 10
LEAST_SHARE = 0.005


def render_path(spans: Sequence[Span], width: int) -> Styled:
    """Return two tables, no line wider than `width`: what the end of the run waited for, and what each job had open at once."""
    forest = build_forest(spans, details=False)
    if not forest:
        return Styled()
    parts = parts_of(critical_path(forest))
    total = sum(part.seconds for part in parts)
    shown = [part for part in parts[:MOST_PARTS] if part.seconds >= LEAST_SHARE * total]
    waits = [name for name in WAITS if any(part.waits.get(name, 0.0) >= 0.0005 for part in shown)]
    layout = [Column("on the critical path", "<", 8), Column("job", "<", 6), Column("time"), Column("share")]
    layout += [Column(name, worth=sum(part.waits.get(name, 0.0) for part in shown)) for name in waits]
    rows = [
        [
            *(part.event, part.job or "-"),
            *(duration(part.seconds), f"{part.seconds / total:.0%}" if total else "-"),
            *(duration(part.waits.get(name, 0.0)) for name in waits),
        ]
        for part in shown
    ]
    lines = [fit(width, Part(f"Critical path ({duration(total)} from the first start to the last end)", Style.TITLE))]
    lines += render_table(layout, rows, width)
    if len(parts) > len(shown):
        rest = sum(part.seconds for part in parts[len(shown) :])
        lines.append(fit(width, f"and {len(parts) - len(shown)} shorter ones, {duration(rest)} in all"))
    return Styled((*lines, (), *_used(lanes_of(forest), width)))


def _used(lanes: dict[str, list[Node]], width: int) -> list[Line]:
    rows = []
    for name, heads in lanes.items():
        used = concurrency_of(heads)
        rows.append([name, f"{used.most:.0f}", f"{used.mean:.1f}"])
    return render_table([Column("open at once", "<", 8), Column("most"), Column("mean")], rows, width)
