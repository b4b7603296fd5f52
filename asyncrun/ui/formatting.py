"""How numbers, sizes, counts, warnings, tables and the lines of mistakes are written for people."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncrun.errors import Mistake
from asyncrun.escape import printable
from asyncrun.humanize import counted, dollars
from asyncrun.results import Counts
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from rich.table import Table

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|[^\s,\[\]{}"\'](?:[^,\[\]{}:#]|:(?!\s)|(?<!\s)#)*(?<!\s)|\S?')
"""What stands at a place of a YAML text: something in quotes, a word, or one character."""


def render_rate(per_second: float) -> str:
    """Return a rate with as many digits as mean something.

    >>> [render_rate(rate) for rate in (1234.5, 12.34, 0.05)]
    ['1,234/s', '12.3/s', '3.0/min']
    """
    if per_second < 0.1:
        return f"{per_second * 60:.1f}/min"
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.1f}/s"


def render_size(size: int) -> str:
    """Return bytes with about three digits that mean something; `MB` is a million.

    >>> [render_size(size) for size in (1, 999, 4096, 18_400_000, 123_456_789_000)]
    ['1 byte', '999 bytes', '4.1 KB', '18.4 MB', '123 GB']
    """
    if size < 1000:
        return counted(size, "byte")
    number, unit = next((size / power, unit) for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if size >= power)
    return f"{number:.0f} {unit}" if number >= 99.95 else f"{number:.1f} {unit}"


def render_number(number: int) -> str:
    """Return a number in at most five characters.

    >>> [render_number(number) for number in (999, 1234, 45_600, 1_234_567, 2_000_000_000)]
    ['999', '1.2k', '46k', '1.2M', '2.0G']
    """
    if number < 1000:
        return str(number)
    # A unit ends where its digits would round up to the next one.
    part, unit = next((number / power, unit) for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= power * 0.9995)
    return f"{part:.0f}{unit}" if part >= 9.95 else f"{part:.1f}{unit}"


def render_usage(usage: Usage) -> list[str]:
    """Return what requests used, in words: tokens, and the cost where it is known.

    >>> render_usage(Usage(requests=3, tokens=12_300, cost=0.000246))
    ['12k tokens', '$0.000246']
    """
    tokens = [f"{render_number(usage.tokens)} tokens"] if usage.tokens else []
    return tokens + ([dollars(usage.cost)] if usage.cost else [])


def render_counts(counts: Counts) -> str:
    """Return what ended how; what did not happen is not said, except that nothing is ok.

    >>> render_counts(Counts(ok=10, cached=4, failed=1))
    '10 ok (4 cached), 1 failed'
    """
    parts = [f"{counts.ok:,} ok" + (f" ({counts.cached:,} cached)" if counts.cached else "")]
    parts += [f"{number:,} {word}" for word in ("failed", "skipped", "removed", "truncated") if (number := getattr(counts, word))]
    return ", ".join(parts)


def render_warning(message: str) -> str:
    """Return a warning as one line.

    >>> render_warning("two items share an id")
    'warning: two items share an id'
    """
    return f"warning: {printable(message)}"


def render_excerpt(mistake: Mistake, width: int) -> list[str]:
    r"""Return two lines of at most `width` columns: the file's line with its number, and the underlining; nothing without a line.

    >>> from asyncrun.errors import Place
    >>> where = Place("jobs.yaml", 3, 9)
    >>> print("\n".join(render_excerpt(Mistake("a.kind", "unknown kind", place=where, line="  kind: embd # ?"), 40)))
      3 |   kind: embd # ?
        |         ^^^^
    """
    from rich.cells import cell_len

    place = mistake.place
    if mistake.line is None or place is None or place.line is None or place.column is None:
        return []
    gutter = f"  {place.line} | "
    start = place.column - 1
    before, rest = mistake.line[:start].replace("\t", " "), mistake.line[start:].replace("\t", " ")
    found = _TOKEN.match(mistake.line, start)
    marked = printable(found.group() if found else "")
    before, rest = printable(before), printable(rest)
    room = max(width - len(gutter), 10)
    cut = ""
    if cell_len(before) > room // 2:
        while cell_len(before) > room // 2 - 1:
            before = before[1:]
        cut = "…"
    shown = cut + before + rest
    while cell_len(shown) > room:
        shown = shown[: -max((cell_len(shown) - room) // 2, 1)]
    under = " " * cell_len(cut + before) + "^" * max(min(cell_len(marked), room - cell_len(cut + before)), 1)
    return [f"{gutter}{shown}", f"  {' ' * len(str(place.line))} | {under}"]


def build_table(*words: str, numbers: Sequence[str]) -> Table:
    """Return a table with these columns; those of numbers are aligned to the right and never broken."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name.upper(), overflow="fold")
    for name in numbers:
        table.add_column(name.upper(), justify="right", no_wrap=True)
    return table


def draw_table(table: Table, width: int) -> str:
    """Return the text of a table in so many columns."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
