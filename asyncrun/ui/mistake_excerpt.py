"""A line of a file with the place of a mistake underlined, for a terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len

from asyncrun.errors import Mistake
from asyncrun.escape import printable

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|[^\s,\[\]{}"\'](?:[^,\[\]{}:#]|:(?!\s)|(?<!\s)#)*(?<!\s)|\S?')
"""What stands at a place of a YAML text: something in quotes, a word, or one character."""


def render_excerpt(mistake: Mistake, width: int) -> list[str]:
    r"""Return two lines of at most `width` columns: the file's line with its number, and the underlining; nothing without a line.

    >>> from asyncrun.errors import Place
    >>> where = Place("jobs.yaml", 3, 9)
    >>> print("\n".join(render_excerpt(Mistake("a.kind", "unknown kind", place=where, line="  kind: embd # ?"), 40)))
      3 |   kind: embd # ?
        |         ^^^^
    """
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
