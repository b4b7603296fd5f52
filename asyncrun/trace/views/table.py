"""A table that fits: one column gives way, and then the last ones go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.trace.views.text import clean, columns, pad

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column's header, its alignment ("<" or ">"), and how narrow it may be made (None: not at all)."""

    header: str
    align: str = ">"
    least: int | None = None


def render_table(layout: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table, the header first, none wider than `width`.

    Columns with a `least` are shortened; where that is not enough, columns are left out from the right; the first one stays.
    """
    cells = [[column.header for column in layout], *([clean(cell) for cell in row] for row in rows)]
    natural = [max(columns(row[index]) for row in cells) for index in range(len(layout))]
    least = [size if column.least is None else min(size, column.least) for size, column in zip(natural, layout, strict=True)]
    shown = len(layout)
    while shown > 1 and _total(least[:shown]) > width:
        shown -= 1
    sizes = least[:shown]
    room = width - _total(sizes)
    for index in range(shown):
        more = min(natural[index] - sizes[index], max(room, 0))
        sizes[index] += more
        room -= more
    sizes[0] = min(sizes[0], max(width, 1))
    last = len(sizes) - 1
    return [
        GAP.join(pad(row[index], size, layout[index].align) for index, size in enumerate(sizes)).rstrip()
        if layout[last].align == "<"
        else GAP.join(pad(row[index], size, layout[index].align) for index, size in enumerate(sizes))
        for row in cells
    ]


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)
