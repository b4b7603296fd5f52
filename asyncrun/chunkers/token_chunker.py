"""Chunker by tokens alone: windows of one size that overlap, whatever the text says."""

from __future__ import annotations

from collections.abc import Iterator

from asyncrun.chunkers.cutting import Cutter
from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.token_index import TokenIndex, index_tokens
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk


class TokenChunker:
    """Cuts windows of `size` tokens, the tokens that the model adds included; each repeats the last `overlap` tokens of the one before.

    A window ends between words, and between two tokens of a word only where it has no white space in its second half; then, and
    where the model makes other tokens of a part by itself, it is shorter by what is needed to keep to the size.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> [chunk.text for chunk in TokenChunker(ByteTokenizer(), ChunkOptions(size=14, overlap=5))("one two three four five")]
    ['one two three', 'three four', 'four five']

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        options = options or ChunkOptions()
        self._tokenizer = tokenizer
        self._overlap = options.overlap
        self._cutter = Cutter(tokenizer, options)

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        tokens = index_tokens(text, _ends(text), self._tokenizer)
        limit = len(text.rstrip())
        start = new = _skip_space(text, 0)
        ordinal = 0
        while new < limit:
            end = self._cutter.cut(text, tokens, start, limit, at_lines=False)
            if end <= new:  # The word that follows does not fit beside the overlap.
                start = new
                continue
            yield Chunk(text[start:end], start, end, ordinal)
            ordinal += 1
            new = _skip_space(text, end)
            start = self._overlap_start(text, tokens, start, end, new)

    def _overlap_start(self, text: str, tokens: TokenIndex, start: int, end: int, new: int) -> int:
        """Return where the overlap with the part from `start` to `end` begins: at a word, if one begins in it; `new` if there is none."""
        left_out = tokens.begun_before(end) - tokens.ended_by(start) - self._overlap
        if not self._overlap or left_out <= 0:
            return new
        begin = tokens.end_of(start, left_out, end)
        if not text[begin - 1].isspace():
            begin = next((place for place in range(begin, end) if text[place].isspace()), begin)
        begin = _skip_space(text, begin)
        if begin >= end or self._cutter.tokens_alone(text, tokens, begin, end) > self._overlap:
            return new
        return begin


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _ends(text: str) -> Iterator[int]:
    """Yield places where a word has ended, thousands of characters apart."""
    place = 0
    while place < len(text):
        place += 10_000
        while place < len(text) and not text[place].isspace():
            place += 1
        yield min(place, len(text))
