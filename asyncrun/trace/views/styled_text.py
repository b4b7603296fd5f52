"""Text whose parts say what they are: plain as it stands, and for a terminal in colour; no part can hold a control sequence of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from asyncrun.trace.run_record import UNFINISHED
from asyncrun.trace.views.text import shorten


class Style(Enum):
    """What a part of a text is; which colour that gets is decided where it is shown."""

    PLAIN = "plain"
    TITLE = "title"
    HEAD = "head"
    BAR = "bar"
    FAINT = "faint"
    GOOD = "good"
    ODD = "odd"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line, without a line break."""

    text: str
    style: Style = Style.PLAIN


Word = str | Part
Line = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Styled:
    r"""Lines of styled parts; `str` gives the plain text.

    >>> str(Styled((line("a", Part("b", Style.BAD)), line("c"))))
    'ab\nc'
    """

    lines: tuple[Line, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(plain, self.lines))


def line(*words: Word) -> Line:
    """Return a line of words, a text counting as plain; empty ones are left out."""
    parts = (word if isinstance(word, Part) else Part(word) for word in words)
    return tuple(part for part in parts if part.text)


def plain(parts: Line) -> str:
    """Return the text of a line."""
    return "".join(part.text for part in parts)


def fit(width: int, *words: Word) -> Line:
    """Return a line in at most `width` columns, cut with an ellipsis.

    >>> plain(fit(6, "embed", Part("-notes", Style.BAD)))
    'embed…'
    """
    parts = line(*words)
    rest = shorten(plain(parts), width)
    kept = []
    for part in parts:
        # What is cut ends in an ellipsis, which takes the place of at least one character.
        kept.append(Part(rest[: len(part.text)], part.style))
        rest = rest[len(part.text) :]
    return line(*kept)


def stack(*texts: Styled, gap: int = 0) -> Styled:
    """Return texts below each other, those without lines left out, with `gap` empty lines between them."""
    lines: list[Line] = []
    for text in texts:
        if text.lines:
            lines += [*([()] * gap if lines else []), *text.lines]
    return Styled(tuple(lines))


def style_of(status: str) -> Style:
    """Return the style of a run's or a span's status."""
    if status == "succeeded":
        return Style.GOOD
    if status == "failed":
        return Style.BAD
    return Style.ODD if status in ("partial", "stopped", "cancelled", UNFINISHED) else Style.PLAIN
