"""Text from outside: what would act on a terminal is written out before it is shown, and escapes are taken back where it is searched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# C0 and C1 controls (CWE-150), line and paragraph separators, bidirectional controls (CVE-2021-42574), lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_ID = 200
"""Characters of an id that a message shows; ids come from data and may be texts themselves."""

# White space, controls, what has no width, and the mark that stands for broken bytes.
_NOISE = (
    r"[\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f"
    r"\ufeff\ufffd]+"
)
# No part looks past the next beginning of its kind, so that the time stays linear in the length of a page.
_MARKUP = r"<(?P<hidden>script|style)\b(?:(?!<(?:script|style)\b)[\s\S])*?</(?P=hidden)>|<[^<>]*>"
_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[abfnrtv\\/\"']"
    r"|&(?:#0{0,20}[0-9]{1,7}|#[xX]0{0,20}[0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
)
_SPLITS = re.compile(_NOISE)
_SPLITS_OF_A_PAGE = re.compile(f"{_MARKUP}|{_NOISE}", re.IGNORECASE)
_MARKS = re.compile(_MARKUP, re.IGNORECASE)
_DEPTH = 4
"""A JSON text within a JSON text within a page has three layers of escapes; nobody goes on for ever."""


def cut(text: str, limit: int = LONGEST_ID) -> str:
    """Return the text, or its beginning with an ellipsis, in at most `limit` characters.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def is_utf8(text: str) -> bool:
    r"""Tell whether UTF-8 can carry a text: it has no half of a surrogate pair.

    >>> is_utf8("größe"), is_utf8("\ud83d")
    (True, False)
    """
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str, limit: int | None = None) -> str:
    r"""Return the text on one line with every control character written out; longer than `limit` it ends in an ellipsis.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(_written_out, text if limit is None else cut(text, limit))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What can be read in a `source`, after one pattern after the other was taken out of it, or taken back."""

    text: str
    source: str
    steps: tuple[re.Pattern[str], ...] = ()

    def after(self, step: re.Pattern[str]) -> Reading:
        """Return the reading after one more step, itself where there is nothing to do."""
        text = step.sub(_character if step is _ESCAPE else "", self.text)
        return self if text == self.text else Reading(text, self.source, (*self.steps, step))

    def places(self, found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return where parts of the reading stand in the source. Only who has found something pays for it."""
        if not found:
            return []
        text, begins, ends = self.source, [*range(len(self.source))], [*range(1, len(self.source) + 1)]
        for step in self.steps:
            text, begins, ends = _traced(step, text, begins, ends)
        return [(begins[start], ends[end - 1]) for start, end in found]


def readings(text: str) -> Iterator[Reading]:
    """Yield a text without white space and what has no width, and with one layer after the other of its escapes taken back.

    These are the escapes of JSON, addresses and HTML. A text with tags is also read without them, as a page is shown.

    >>> [reading.text for reading in readings("a %41<b>&amp;</b>")]
    ['a%41<b>&amp;</b>', 'aA<b>&</b>', 'a%41&amp;', 'aA&']
    """
    whole, tags = Reading(text, text), False
    for reading in _layers(whole, _SPLITS):
        tags = tags or "<" in reading.text
        yield reading
    if tags:
        yield from _layers(whole, _SPLITS_OF_A_PAGE)


def strip_markup(text: str) -> str:
    """Return the text of a page without its markup, on one line.

    >>> strip_markup("<p>No <b>such</b> key</p><style>p { color: red }</style>")
    'No such key'
    """
    return " ".join(_MARKS.sub(" ", text).split())


def strip_blanks(text: str) -> str:
    """Return a text without white space and what has no width, as it stands in a reading."""
    return _SPLITS.sub("", text)


def unescaped(text: str) -> str:
    """Return a text with its escapes taken back, layer by layer."""
    for _ in range(_DEPTH):
        text = _ESCAPE.sub(_character, text)
    return text


def _layers(reading: Reading, splits: re.Pattern[str]) -> Iterator[Reading]:
    reading = reading.after(splits)
    yield reading
    for _ in range(_DEPTH):
        decoded = reading.after(_ESCAPE)
        if decoded is reading:
            return
        yield decoded
        reading = decoded.after(splits)
        if reading is not decoded:
            yield reading


def _traced(step: re.Pattern[str], text: str, begins: list[int], ends: list[int]) -> tuple[str, list[int], list[int]]:
    """Return a text after a step, and for each character of it where it begins and ends in the source."""
    parts: list[str] = []
    new_begins: list[int] = []
    new_ends: list[int] = []
    last = 0
    for match in step.finditer(text):
        start, end = match.span()
        written = _character(match) if step is _ESCAPE else ""
        parts += (text[last:start], written)
        new_begins += begins[last:start] + begins[start : start + 1] * len(written)
        new_ends += ends[last:start] + ends[end - 1 : end] * len(written)
        last = end
    return "".join((*parts, text[last:])), new_begins + begins[last:], new_ends + ends[last:]


def _character(match: re.Match[str]) -> str:
    from html import unescape

    found = match.group()
    if found[0] == "&":
        return unescape(found)
    if found[0] == "%" or found[1] in "ux":
        return chr(int(found.lstrip("%\\ux"), 16))
    return found[1] if found[1] in "\\/\"'" else " "
