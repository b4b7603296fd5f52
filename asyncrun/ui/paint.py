"""Styled text as a terminal shows it: each style has its colour here."""

from __future__ import annotations

from typing import TextIO

from asyncrun.escape import printable
from asyncrun.trace.views.styled import Part, Style, Styled
from asyncrun.ui.outlet import Outlet

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


def paint(text: Styled, *, colour: bool) -> str:
    r"""Return styled text as one text; control characters in a part are written out, so that no part can colour itself.

    >>> from asyncrun.trace.views.styled import line
    >>> paint(Styled((line("it ", Part("failed\x1b[0m", Style.BAD)),)), colour=True)
    'it \x1b[1;31mfailed\\x1b[0m\x1b[0m'
    """
    return "\n".join("".join(_painted(part, colour) for part in line) for line in text.lines)


def print_styled(text: Styled, stream: TextIO, *, colour: bool = False, answer: bool = True) -> None:
    """Write styled text. Raises StorageError when an answer cannot be written (a full disk); a reader that goes away is no error."""
    Outlet(stream, answer=answer).line(paint(text, colour=colour))


def _painted(part: Part, colour: bool) -> str:
    shown = printable(part.text)
    code = CODES.get(part.style) if colour and shown.strip() else None
    return shown if code is None else f"\x1b[{code}m{shown}\x1b[0m"
