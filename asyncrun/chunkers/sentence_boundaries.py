"""Where a text may be cut: its sentences, in plain text and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Block = Literal["prose", "heading", "verbatim"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?=\s|$)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s|\s*\|")
_SPACE = re.compile(r"\s*")
# The possessive quantifiers, and the look-behind or the end without a group, keep a run of a million dots linear. East Asian marks need no
# space behind them; a text that has none is searched three times as fast.
_EAST_ASIAN = "。！？｡"
_END = re.compile(r"[.!?…]++([\"'”’»)\]}*_`]*+(?=\s))?")
_ANY_END = re.compile(r"((?<![.!?…])[.!?…]++[\"'”’»)\]}*_`]*+(?=\s)|[。！？｡]++[」』”’）]*+)")
# What begins a line that may be more than a part of a paragraph.
_MARKED = re.compile(r"\s*+(?:[`~#=\-*+|\d]|\Z)")
_OPENING = "\"'“‘«([{*_`"

_ABBREVIATIONS = re.compile(
    r"adj|adm|al|approx|apr|assn|aug|ave|bldg|blvd|bros|bzw|ca|capt|cf|co|col|corp|dec|dept|dipl|dr|ed|eds|est|etc|evtl|feb|fr|gen|ggf|gov"
    r"|hon|inc|inkl|jan|jr|jul|jun|lt|ltd|maj|mar|messrs|mgr|mr|mrs|ms|mt|nov|oct|op|ph|prof|pvt|resp|rev|sen|sept?|sgt|sr|st|supt|univ"
    r"|usw|vgl|viz|vs|zzgl|[^\W\d_]|(?:[^\W\d_]{1,3}\.){1,3}[^\W\d_]{1,3}",
    re.IGNORECASE,
)
_BEFORE_NUMBERS = re.compile(r"app|art|ch|chap|eqs?|figs?|lit|nr|nos?|par|pp?|pt|refs?|sect?|tab|vol", re.IGNORECASE)
_LONGEST_WORD = 24


class Sentence(NamedTuple):
    """A stretch of text that is better not cut: a sentence, a heading, a table row or a fenced block of code."""

    start: int
    end: int
    heading: bool = False


def split_sentences(text: str) -> list[Sentence]:
    r"""Return the sentences of a text in their order; what is between them is white space.

    Blank lines, headings, list items, table rows and code fences end a sentence whatever its punctuation; a single line end
    does not. A full stop ends one before white space, unless a lower-case letter follows, or it belongs to an abbreviation.

    >>> text = "# Title\nDr. No has 3.5 cats. He likes them."
    >>> [text[sentence.start : sentence.end] for sentence in split_sentences(text)]
    ['# Title', 'Dr. No has 3.5 cats.', 'He likes them.']
    """
    sentences = []
    pattern = _ANY_END if not text.isascii() and any(mark in text for mark in _EAST_ASIAN) else _END
    for block, block_end, kind in _blocks(text):
        start = block
        for end in (*_ends(pattern, text, block, block_end), block_end) if kind == "prose" else (block_end,):
            piece = text[start:end]
            if stripped := piece.strip():
                begin = start + piece.index(stripped[0])
                sentences.append(Sentence(begin, begin + len(stripped), kind == "heading"))
            start = end
    return sentences


def _blocks(text: str) -> Iterator[tuple[int, int, Block]]:
    """Yield paragraphs, list items, table rows, headings and fenced blocks as start, end and kind."""
    begin, lines, fence = 0, 0, ""
    for start, end in _lines(text):
        line = text[start:end]
        if fence:
            if line.strip().startswith(fence) and not line.strip(fence[0] + " \t\r\n"):
                yield begin, end, "verbatim"
                begin, lines, fence = end, 0, ""
            continue
        if not _MARKED.match(line):
            lines += 1
            continue
        opening, heading = _FENCE.match(line), _HEADING.match(line)
        if lines == 1 and _UNDERLINE.match(line) and not _ITEM.match(text[begin:start]):
            yield begin, end, "heading"
            begin, lines = end, 0
        elif opening or heading or not line.strip() or _ITEM.match(line):
            yield begin, start, "prose"
            begin, lines = start, 1
            if opening:
                fence = opening.group(1)
            elif heading:
                yield start, end, "heading"
                begin, lines = end, 0
            elif not line.strip():
                begin, lines = end, 0
        else:
            lines += 1
    yield begin, len(text), "verbatim" if fence else "prose"


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, end
        start = end


def _ends(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[int]:
    """Yield where sentences of a paragraph end, the last one left out."""
    for match in pattern.finditer(text, start, end):
        if match[1] is None:
            continue
        following = _SPACE.match(text, match.end(), end)
        after = following.end() if following else end
        if after < end and not text[after].islower() and not (match.group() == "." and _abbreviates(text, start, match.start(), after)):
            yield match.end()


def _abbreviates(text: str, start: int, stop: int, after: int) -> bool:
    """Tell whether the full stop at `stop` belongs to the word before it."""
    words = text[max(start, stop - _LONGEST_WORD) : stop].split()
    word = words[-1].lstrip(_OPENING) if words else ""
    if _BEFORE_NUMBERS.fullmatch(word) and text[after].isdigit():
        return True
    return _ABBREVIATIONS.fullmatch(word) is not None
