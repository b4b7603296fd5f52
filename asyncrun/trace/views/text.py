"""Text of a given width: measured in a terminal's columns, shortened with an ellipsis, numbers written short."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from unicodedata import combining, east_asian_width

from asyncrun.escape import printable

ELLIPSIS = "…"


def clean(text: str) -> str:
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
