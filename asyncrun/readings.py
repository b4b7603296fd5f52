"""A text as it can be read: escapes taken back, without what splits words, and every character with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# White space, controls, what has no width, and the mark that stands for broken bytes.
_NOISE = (
    r"[\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f"
    r"\ufeff\ufffd]+"
)
# No part looks past the next beginning of its kind, so that the time stays linear in the length of a page.
_MARKUP = r"<(?P<hidden>script|style)\b(?:(?!<(?:script|style)\b)[\s\S])*?</(?P=hidden)>|<[^<>]*>"
_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[abfnrtv\\/\"']"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
)
_SPLITS = re.compile(_NOISE)
_SPLITS_OF_A_PAGE = re.compile(f"{_MARKUP}|{_NOISE}", re.IGNORECASE)
_MARKS = re.compile(_MARKUP, re.IGNORECASE)
_DEPTH = 4
"""A JSON text within a JSON text within a page has three layers of escapes; nobody goes on for ever."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What can be read: character `i` of `text` stands at `begins[i]` up to `ends[i]` in the text that is read."""

    text: str
    begins: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where characters stand in the text that is read."""
        return self.begins[start], self.ends[end - 1]

    def rewritten(self, pattern: re.Pattern[str], write: Callable[[re.Match[str]], str]) -> Reading:
        """Return the reading with something else for every match."""
        parts: list[str] = []
        begins: list[int] = []
        ends: list[int] = []
        last = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            written = write(match)
            parts += (self.text[last:start], written)
            begins += self.begins[last:start]
            ends += self.ends[last:start]
            begins += [self.begins[start]] * len(written)
            ends += [self.ends[end - 1]] * len(written)
            last = end
        if not last:
            return self
        return Reading("".join((*parts, self.text[last:])), begins + self.begins[last:], ends + self.ends[last:])


def readings(text: str) -> Iterator[Reading]:
    """Yield a text without white space and what has no width, and with one layer after the other of its escapes taken back.

    These are the escapes of JSON, addresses and HTML. A text with tags is also read without them, as a page is shown.

    >>> [reading.text for reading in readings("a %41<b>&amp;</b>")]
    ['a%41<b>&amp;</b>', 'aA<b>&</b>', 'a%41&amp;', 'aA&']
    """
    whole = Reading(text, list(range(len(text))), list(range(1, len(text) + 1)))
    tags = False
    for reading in _layers(whole, _SPLITS):
        tags = tags or "<" in reading.text
        yield reading
    if tags:
        yield from _layers(whole, _SPLITS_OF_A_PAGE)


def plain(text: str) -> str:
    """Return the text of a page without its markup, on one line.

    >>> plain("<p>No <b>such</b> key</p><style>p { color: red }</style>")
    'No such key'
    """
    return " ".join(_MARKS.sub(" ", text).split())


def joined(text: str) -> str:
    """Return a text without white space and what has no width, as it stands in a reading."""
    return _SPLITS.sub("", text)


def unescaped(text: str) -> str:
    """Return a text with its escapes taken back, layer by layer."""
    for _ in range(_DEPTH):
        text = _ESCAPE.sub(_character, text)
    return text


def _layers(reading: Reading, splits: re.Pattern[str]) -> Iterator[Reading]:
    reading = reading.rewritten(splits, lambda _: "")
    yield reading
    for _ in range(_DEPTH):
        decoded = reading.rewritten(_ESCAPE, _character)
        if decoded is reading:
            return
        yield decoded
        reading = decoded.rewritten(splits, lambda _: "")
        if reading is not decoded:
            yield reading


def _character(match: re.Match[str]) -> str:
    from html import unescape

    found = match.group()
    if found[0] == "&":
        return unescape(found)
    if found[0] == "%" or found[1] in "ux":
        return chr(int(found.lstrip("%\\ux"), 16))
    return found[1] if found[1] in "\\/\"'" else " "
