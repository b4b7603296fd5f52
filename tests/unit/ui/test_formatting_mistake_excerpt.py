"""The line of a mistake, underlined, as wide as the terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from asyncrun.errors import Mistake, Place
from asyncrun.ui.formatting import render_excerpt


def shown(line: str | None, column: int, width: int = 60) -> list[str]:
    return render_excerpt(Mistake("a", "wrong", place=Place("f", 12, column), line=line), width)


@pytest.mark.parametrize(
    ("line", "under"),
    [
        ("a: §embd, b", "^^^^"),
        ("a: §big words # a note", "^^^^^^^^^"),
        ("a: §'in quotes', b", "^^^^^^^^^^^"),
        ('a: §"with \\" in it", b', "^^^^^^^^^^^^^^^"),
        ("- §timout: 3s", "^^^^^^"),
        ("a: §{b: c}", "^"),
        ("a: §http://x:1/y}", "^^^^^^^^^^^^"),
        ("a:§", "^"),
        ("\ta: §x", "^"),
        ("日本: §語語", "^^^^"),
        ("a: §\x1b[31m", "^^^^"),
    ],
)
def test_what_stands_at_the_place_is_underlined(line: str, under: str) -> None:
    at = line.index("§")
    text, mark = shown(line.replace("§", ""), at + 1)
    assert text.startswith("  12 | ")
    assert mark.strip(" |") == under
    assert cell_len(mark) - len(under) == cell_len(text[: text.index("|") + 2]) + cell_len(line[:at].replace("\t", " "))


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("column", [1, 50, 298, 499])
def test_a_long_line_is_cut_and_the_place_stays_in_sight(width: int, column: int) -> None:
    line = "x, " * 166 + "y"
    text, mark = shown(line, column, width)
    assert cell_len(text) <= width
    assert cell_len(mark) <= width
    assert text[mark.index("^")] == line[column - 1]


def test_without_a_line_nothing_is_shown() -> None:
    assert shown(None, 3) == []
