"""A table that fits: one column gives way, and then the last ones go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, Word, columns, line, one_line, pad, shorten, shorten_start

GAP = "  "
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's header, its alignment ("<" or ">"), and how narrow it may be made (None: not at all).

    A cell that is shortened loses its end; in a column with `keeps_end`, such as one of paths, its beginning. Of columns
    with a `worth` those that are worth least are left out first.
    """

    header: str
    align: str = ">"
    least: int | None = None
    worth: float | None = None
    keeps_end: bool = False


def render_table(layout: Sequence[Column], rows: Sequence[Sequence[Word]], width: int) -> list[StyledLine]:
    """Return the lines of a table, the header first, none wider than `width`.

    Columns with a `least` are shortened; where that is not enough, columns are left out: those with a `worth`, then from the right; the
    first one stays.
    """
    if not table_fits(layout, rows, width) and any(column.worth is not None for column in layout):
        worths = [math.inf if column.worth is None else column.worth for column in layout]
        gone = worths.index(min(worths))
        return render_table(_without(layout, gone), [_without(row, gone) for row in rows], width)
    cells = _cells(layout, rows)
    natural, least = _sizes(layout, cells)
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
    return [_row([(row[index], size, layout[index]) for index, size in enumerate(sizes)]) for row in cells]


def table_fits(layout: Sequence[Column], rows: Sequence[Sequence[Word]], width: int) -> bool:
    """Return whether a table has all its columns in so many columns of the terminal."""
    return _total(_sizes(layout, _cells(layout, rows))[1]) <= width


def _without(parts: Sequence[T], gone: int) -> list[T]:
    return [part for index, part in enumerate(parts) if index != gone]


def _cells(layout: Sequence[Column], rows: Sequence[Sequence[Word]]) -> list[list[StyledPart]]:
    return [[StyledPart(column.header, Style.HEAD) for column in layout], *([_cell(cell) for cell in row] for row in rows)]


def _sizes(layout: Sequence[Column], cells: Sequence[Sequence[StyledPart]]) -> tuple[list[int], list[int]]:
    """Return how wide each column would be, and how narrow it may be made."""
    natural = [max(columns(row[index].text) for row in cells) for index in range(len(layout))]
    return natural, [size if column.least is None else min(size, column.least) for size, column in zip(natural, layout, strict=True)]


def _cell(cell: Word) -> StyledPart:
    return StyledPart(one_line(cell.text), cell.style) if isinstance(cell, StyledPart) else StyledPart(one_line(cell))


def _row(cells: Sequence[tuple[StyledPart, int, Column]]) -> StyledLine:
    words: list[Word] = []
    for cell, size, column in cells:
        words += [GAP, StyledPart(pad(_shortened(cell, size, column), size, column.align), cell.style)]
    cell, size, column = cells[-1]
    if column.align == "<":
        words[-1] = StyledPart(_shortened(cell, size, column), cell.style)
    return line(*words[1:])


def _shortened(cell: StyledPart, size: int, column: Column) -> str:
    return shorten_start(cell.text, size) if column.keeps_end and cell.style is not Style.HEAD else shorten(cell.text, size)


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)
