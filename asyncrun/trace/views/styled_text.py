"""Text whose parts have a style, measured, shortened and filled up in columns of a terminal; no part holds a control sequence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from unicodedata import combining, east_asian_width

from asyncrun.escape import printable
from asyncrun.trace.run_record import UNFINISHED

ELLIPSIS = "…"


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
class StyledPart:
    """A piece of a line, without a line break."""

    text: str
    style: Style = Style.PLAIN


Word = str | StyledPart
StyledLine = tuple[StyledPart, ...]


@dataclass(frozen=True, slots=True)
class StyledText:
    r"""Lines of styled parts; `str` gives the plain text.

    >>> str(StyledText((line("a", StyledPart("b", Style.BAD)), line("c"))))
    'ab\nc'
    """

    lines: tuple[StyledLine, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(line_text, self.lines))


def line(*words: Word) -> StyledLine:
    """Return a line of words, a text counting as plain; empty ones are left out."""
    parts = (word if isinstance(word, StyledPart) else StyledPart(word) for word in words)
    return tuple(part for part in parts if part.text)


def line_text(parts: StyledLine) -> str:
    """Return the text of a line."""
    return "".join(part.text for part in parts)


def fit(width: int, *words: Word) -> StyledLine:
    """Return a line in at most `width` columns, cut with an ellipsis.

    >>> line_text(fit(6, "embed", StyledPart("-notes", Style.BAD)))
    'embed…'
    """
    parts = line(*words)
    rest = shorten(line_text(parts), width)
    kept = []
    for part in parts:
        # What is cut ends in an ellipsis, which takes the place of at least one character.
        kept.append(StyledPart(rest[: len(part.text)], part.style))
        rest = rest[len(part.text) :]
    return line(*kept)


def stack(*texts: StyledText, gap: int = 0) -> StyledText:
    """Return texts below each other, those without lines left out, with `gap` empty lines between them."""
    lines: list[StyledLine] = []
    for text in texts:
        if text.lines:
            lines += [*([()] * gap if lines else []), *text.lines]
    return StyledText(tuple(lines))


def style_of(status: str) -> Style:
    """Return the style of a run's or a span's status."""
    if status == "succeeded":
        return Style.GOOD
    if status == "failed":
        return Style.BAD
    return Style.ODD if status in ("partial", "stopped", "cancelled", UNFINISHED) else Style.PLAIN


def one_line(text: str) -> str:
    """Return outside text on one line, with nothing in it that moves the cursor."""
    return printable(text).replace("\t", " ")


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> columns("日本")
    4
    """
    return len(text) if text.isascii() else sum(map(_width, text))


def shorten(text: str, width: int) -> str:
    """Return the text, or its beginning with an ellipsis, in at most `width` columns.

    >>> shorten("embed-notes", 6)
    'embed…'
    """
    if columns(text) <= width:
        return text
    return _beginning(text, width - 1) + ELLIPSIS if width > 0 else ""


def shorten_start(text: str, width: int) -> str:
    """Return the text, or an ellipsis and its end, in at most `width` columns.

    >>> shorten_start("/srv/jobs.yaml", 10)
    '…jobs.yaml'
    """
    if columns(text) <= width:
        return text
    return ELLIPSIS + _beginning(text[::-1], width - 1)[::-1] if width > 0 else ""


def pad(text: str, width: int, align: str = "<") -> str:
    """Return the text shortened or filled up with spaces to exactly `width` columns; `align` is "<" or ">"."""
    text = shorten(text, width)
    room = " " * (width - columns(text))
    return room + text if align == ">" else text + room


def utc_time(at: float) -> str:
    """Return a time (seconds since 1970) in UTC.

    >>> utc_time(0.0)
    '1970-01-01 00:00:00 UTC'
    """
    return f"{local_time(at, UTC)} UTC"


def local_time(at: float, zone: tzinfo | None = None) -> str:
    """Return a time (seconds since 1970) as a clock of `zone` shows it, None for the machine's own.

    >>> local_time(0.0, UTC)
    '1970-01-01 00:00:00'
    """
    return f"{datetime.fromtimestamp(at, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _beginning(text: str, width: int) -> str:
    kept, used = [], 0
    for character in text:
        used += _width(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept)


def _width(character: str) -> int:
    if combining(character) or character in "\u200b\u200c\u200d\ufe0f\ufeff":
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
