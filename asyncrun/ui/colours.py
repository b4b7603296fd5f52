"""Styled text as a terminal shows it: each style has its colour here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TextIO

from asyncrun.escape import printable
from asyncrun.streams import OutputStream
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, line, line_text

CODES = {
    Style.TITLE: "1",
    Style.HEAD: "36",
    Style.BAR: "36",
    Style.FAINT: "2",
    Style.GOOD: "32",
    Style.ODD: "33",
    Style.BAD: "1;31",
}
"""Parameters of SGR, "select graphic rendition" (ECMA-48, 8.3.117), out of the eight colours that every terminal has."""


def paint(text: StyledText, *, colour: bool) -> str:
    r"""Return styled text as one text; control characters in a part are written out, so that no part can colour itself.

    >>> from asyncrun.trace.views.styled_text import line
    >>> paint(StyledText((line("it ", StyledPart("failed\x1b[0m", Style.BAD)),)), colour=True)
    'it \x1b[1;31mfailed\\x1b[0m\x1b[0m'
    """
    return "\n".join("".join(_painted(part, colour) for part in line) for line in text.lines)


def print_styled(text: StyledText, stream: TextIO, *, colour: bool = False, width: int | None = None, answer: bool = True) -> None:
    """Write styled text; lines longer than `width` go on in the next one, between words.

    Raises StorageError when an answer cannot be written (a full disk); a reader that goes away is no error.
    """
    if width is not None:
        text = StyledText(tuple(part for whole in text.lines for part in _broken(whole, width)))
    OutputStream(stream, answer=answer).line(paint(text, colour=colour))


def print_text(text: str, stream: TextIO, *, width: int | None = None, answer: bool = True) -> None:
    r"""Write a text of one or more lines, its control characters made visible.

    Longer lines than `width` go on in the next one, between words.
    Raises StorageError when an answer cannot be written (a full disk); a reader that goes away is no error.

    >>> import sys
    >>> print_text("a\x1b[2Jb", sys.stdout)
    a\x1b[2Jb
    """
    lines = "\n".join(break_line(printable(line), width) for line in text.rstrip("\n").split("\n"))
    OutputStream(stream, answer=answer).line(lines)


def break_line(text: str, width: int | None) -> str:
    r"""Return a line as several of at most `width` characters, broken between words; the later ones are indented.

    >>> break_line("notes failed: the key is refused", 20)
    'notes failed: the\n  key is refused'
    """
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    if width is None or len(text) <= width:
        return text
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _broken(whole: StyledLine, width: int) -> Iterator[StyledLine]:
    parts = line(*(StyledPart(printable(part.text), part.style) for part in whole))
    # Breaking a line moves nothing but its spaces.
    styles = iter([part.style for part in parts for letter in part.text if not letter.isspace()])
    for text in break_line(line_text(parts), width).split("\n"):
        letters = [(Style.PLAIN if letter.isspace() else next(styles), letter) for letter in text]
        yield tuple(StyledPart("".join(letter for _, letter in group), style) for style, group in groupby(letters, key=itemgetter(0)))


def _painted(part: StyledPart, colour: bool) -> str:
    shown = printable(part.text)
    code = CODES.get(part.style) if colour and shown.strip() else None
    return shown if code is None else f"\x1b[{code}m{shown}\x1b[0m"
