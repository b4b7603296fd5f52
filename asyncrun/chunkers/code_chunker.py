"""Chunker of source code, in any language that is indented: whole definitions, as many as fit; what is too long is cut inside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from asyncrun.chunkers.cutting import Cutter
from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.token_index import TokenIndex, index_tokens
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk

_LINE = re.compile(r"[^\n]+")
# What goes on with the lines before it, though it is not indented.
_GOES_ON = re.compile(r"[)\]}]|\{\s*$|\*/|(?:else|elif|elsif|except|finally|catch|rescue|ensure|end|then|fi|done|esac|when|case|default)\b")
# What belongs to the lines behind it: comments, decorators, attributes.
_BELONGS = re.compile(r"#|//|/\*|\*|--|;|@|\[\w|\"{3}|template\b")
_DEEPEST = 40
_LONGEST_TITLE = 200
_TAB = 4


class CodeChunker:
    r"""Packs whole definitions into chunks of at most `size` tokens, the tokens that the model adds included; nothing is repeated.

    A definition is a line with all that is indented below it, and with the comments and decorators above it. It begins a new chunk
    when the current one is at least half full. One that is longer than a chunk is cut between the definitions and lines inside,
    and the lines that it begins with, such as those of its class and its method, are the `headings` of the parts. The same holds in
    every language that is indented, and for text.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> code = "class Cat:\n    def purr(self):\n        return 1\n\n    def eat(self):\n        return 2\n"
    >>> for chunk in CodeChunker(ByteTokenizer(), ChunkOptions(size=52, overlap=0))(code):
    ...     print(repr(chunk.text), chunk.metadata)
    'class Cat:\n    def purr(self):\n        return 1' {}
    '    def eat(self):\n        return 2' {'headings': ['class Cat:']}

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        self._tokenizer = tokenizer
        self._cutter = Cutter(tokenizer, options or ChunkOptions())

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        lines = _lines(text)
        tokens = index_tokens(text, (line.end for line in lines), self._tokenizer)
        code = _Code(text, tokens, self._cutter)
        for ordinal, (start, end, titles) in enumerate(code.pack(_blocks(lines), ())):
            yield Chunk(text[start:end], start, end, ordinal, {"headings": list(titles)} if titles else {})


class _Line(NamedTuple):
    """A line that is not blank; `apart` tells whether a blank one stands above it."""

    start: int
    end: int
    indent: int
    apart: bool
    goes_on: bool
    belongs: bool


def _lines(text: str) -> list[_Line]:
    lines: list[_Line] = []
    for match in _LINE.finditer(text):
        line = match[0].rstrip()
        code = line.lstrip()
        if code:
            start = match.start()
            indent = len(line[: len(line) - len(code)].expandtabs(_TAB))
            apart = not lines or text.count("\n", lines[-1].end, start) > 1
            lines.append(_Line(start, start + len(line), indent, apart, bool(_GOES_ON.match(code)), bool(_BELONGS.match(code))))
    return lines


def _blocks(lines: Sequence[_Line]) -> list[Sequence[_Line]]:
    """Group lines: each group begins with one that is indented no deeper than the first of all, or with what belongs to it."""
    blocks: list[Sequence[_Line]] = []
    begin = 0
    for number in range(1, len(lines)):
        line, before = lines[number], lines[number - 1]
        attached = before.belongs and not line.apart and before.indent <= lines[0].indent
        if line.indent <= lines[0].indent and not line.goes_on and not attached:
            blocks.append(lines[begin:number])
            begin = number
    if lines:
        blocks.append(lines[begin:])
    return blocks


def _inside(block: Sequence[_Line]) -> tuple[int, list[Sequence[_Line]]]:
    """Return the number of the line that others are indented below, -1 where none are, and the block's parts."""
    level = block[0].indent
    header = next((number for number in range(1, len(block)) if block[number].indent > level), 0) - 1
    if header < 0:
        return -1, [[line] for line in block]
    return header, [*([line] for line in block[: header + 1]), *_blocks(block[header + 1 :])]


class _Code:
    """A text of code with its tokens, and what cuts it."""

    def __init__(self, text: str, tokens: TokenIndex, cutter: Cutter) -> None:
        self._text, self._tokens, self._cutter = text, tokens, cutter

    def pack(self, blocks: Sequence[Sequence[_Line]], titles: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Yield starts, ends and titles of chunks that hold as many blocks as fit; one that does not is divided."""
        begin, end = -1, -1
        for block in blocks:
            start, until = block[0].start, block[-1].end
            if begin >= 0:
                half_full = len(block) > 1 and 2 * self._count(begin, end) >= self._cutter.room
                if not half_full and self._fits(begin, until):
                    end = until
                    continue
                yield begin, end, titles
                begin = -1
            if self._fits(start, until):
                begin, end = start, until
            else:
                yield from self._divide(block, titles)
        if begin >= 0:
            yield begin, end, titles

    def _divide(self, block: Sequence[_Line], titles: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        if len(block) == 1 or len(titles) >= _DEEPEST:
            yield from self._cut(block[0].start, block[-1].end, titles)
            return
        header, parts = _inside(block)
        if header < 0:
            yield from self.pack(parts, titles)
            return
        inner = (*titles, self._text[block[header].start : block[header].end].strip()[:_LONGEST_TITLE])
        for number, (start, end, above) in enumerate(self.pack(parts, inner)):
            # The part that begins with the title is not told it.
            yield start, end, titles if number == 0 and above == inner else above

    def _cut(self, start: int, limit: int, titles: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        while start < limit:
            end = self._cutter.cut(self._text, self._tokens, start, limit)
            yield start, end, titles
            start = end
            while start < limit and self._text[start].isspace():
                start += 1

    def _count(self, start: int, end: int) -> int:
        return self._tokens.begun_before(end) - self._tokens.ended_by(start)

    def _fits(self, start: int, end: int) -> bool:
        return self._count(start, end) <= self._cutter.room and not self._cutter.too_long(self._text, self._tokens, start, end)
