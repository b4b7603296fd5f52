"""How many tokens a part of a text has, and where so many end: by bytes, by words, or from the places of all tokens."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from asyncrun.chunkers.interface import ByteTokenizer
from asyncrun.ports import Tokenizer, WordTokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPACES = [*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_IS_SPACE = np.zeros(0x3002, np.bool_)
_IS_SPACE[_SPACES] = True
_STEP = 1024
_STRETCH = 50_000
"""Characters that are tokenized at once: a whole book would take a hundred bytes a token meanwhile."""


class TokenIndex(Protocol):
    """Counts tokens anywhere in one text, as they lie in the whole of it."""

    def begun_before(self, place: int) -> int:
        """Return how many tokens begin before a place."""

    def ended_by(self, place: int) -> int:
        """Return how many tokens have ended where a place begins: less than `begun_before` by the one that it divides."""

    def end_of(self, start: int, tokens: int, limit: int) -> int:
        """Return where a part ends that begins at `start` and has so many tokens; `limit` at most, `start + 1` at least."""

    def is_exact(self, start: int, end: int) -> bool:
        """Tell whether the part has just these tokens by itself, too."""


def index_tokens(text: str, ends: Iterable[int], tokenizer: Tokenizer) -> TokenIndex:
    """Return the index of a text, which may be tokenized in stretches that end at some of `ends`."""
    return index_quickly(text, tokenizer) or PlaceIndex(text, ends, tokenizer)


def index_quickly(text: str, tokenizer: Tokenizer) -> ByteIndex | WordIndex | None:
    """Return the index of a text that need not be tokenized as a whole, None where it must."""
    if isinstance(tokenizer, ByteTokenizer):
        return ByteIndex(text)
    count_words = getattr(tokenizer, "word_counts", None)  # isinstance takes longer than the rest of a short text.
    if count_words is not None and (counts := cast("WordTokenizer", tokenizer).word_counts(text)) is not None:
        return WordIndex(text, counts, tokenizer)
    return None


class ByteIndex:
    """Tokens that are bytes: their number is kept for every thousandth character, and is the place itself where all are ASCII."""

    def __init__(self, text: str) -> None:
        self._text, self._ascii = text, text.isascii()

    @cached_property
    def _sums(self) -> array[int]:
        lengths = (len(self._text[start : start + _STEP].encode()) for start in range(0, len(self._text), _STEP))
        return array("q", accumulate(lengths, initial=0))

    def total(self) -> int:
        """Return the bytes of the whole text."""
        return self.begun_before(len(self._text))

    def begun_before(self, place: int) -> int:
        """Return the bytes before a place."""
        if self._ascii:
            return place
        step = place // _STEP
        return self._sums[step] + len(self._text[step * _STEP : place].encode())

    ended_by = begun_before

    def end_of(self, start: int, tokens: int, limit: int) -> int:
        """Return where the last character ends that has all its bytes among so many."""
        if not self._ascii:
            tokens = len(self._text[start : start + tokens].encode()[:tokens].decode(errors="ignore"))
        return min(max(start + tokens, start + 1), limit)

    def is_exact(self, start: int, end: int) -> bool:
        """Bytes are bytes anywhere."""
        return True


class WordIndex:
    """Tokens that lie within words: the sums of the words before each; only where a part ends inside of a word is that one tokenized."""

    def __init__(self, text: str, counts: Sequence[int], tokenizer: Tokenizer) -> None:
        self._text, self._tokenizer = text, tokenizer
        self._before = array("q", accumulate(counts, initial=0))
        self._inner: dict[int, tuple[list[int], list[int]]] = {}

    @cached_property
    def _words(self) -> array[int]:
        starts = array("q")
        for begin in range(0, len(self._text), _STRETCH):
            starts.frombytes(word_starts(self._text, begin, begin + _STRETCH).tobytes())
        return starts

    def total(self) -> int:
        """Return the tokens of all words."""
        return self._before[-1]

    def begun_before(self, place: int) -> int:
        """Return the tokens of the words before a place, and those of the one that it divides."""
        word = bisect_left(self._words, place)
        if self._is_inside(place):
            return self._before[word - 1] + bisect_left(self._tokens_of(word - 1)[0], place)
        return self._before[word]

    def ended_by(self, place: int) -> int:
        """Return the same without a token that is divided itself."""
        word = bisect_left(self._words, place)
        if self._is_inside(place):
            return self._before[word - 1] + bisect_right(self._tokens_of(word - 1)[1], place)
        return self._before[word]

    def end_of(self, start: int, tokens: int, limit: int) -> int:
        """Return where the token begins that follows on so many."""
        following = self.ended_by(start) + tokens
        if following >= self._before[-1]:
            return limit
        word = bisect_right(self._before, following) - 1
        return min(max(self._tokens_of(word)[0][following - self._before[word]], start + 1), limit)

    def is_exact(self, start: int, end: int) -> bool:
        """A part has its tokens by itself when it cuts no word."""
        return not self._is_inside(start) and not self._is_inside(end)

    def _is_inside(self, place: int) -> bool:
        text = self._text
        return 0 < place < len(text) and not text[place].isspace() and not text[place - 1].isspace()

    def _tokens_of(self, word: int) -> tuple[list[int], list[int]]:
        """Return the starts and the ends of a word's tokens; those of the last few words are kept, one may be a whole page."""
        if word not in self._inner:
            if len(self._inner) >= 4:
                self._inner.clear()
            start = self._words[word]
            end = self._words[word + 1] if word + 1 < len(self._words) else len(self._text)
            found = self._tokenizer.offsets(self._text[start:end].rstrip())
            self._inner[word] = [start + one for one, _ in found], [start + one for _, one in found]
        return self._inner[word]


def word_starts(text: str, begin: int, end: int) -> NDArray[np.int64]:
    """Return where words begin in a part of a text, six times as fast as a pattern finds them.

    >>> word_starts("one  two three", 2, 14).tolist()
    [5, 9]
    """
    before = max(begin - 1, 0)
    part = text[before:end]
    if part.isascii():
        space = _IS_SPACE[np.frombuffer(part.encode(), np.uint8)]
    else:
        codes = np.frombuffer(part.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
        space = _IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)]
    starts = np.flatnonzero(space[:-1] & ~space[1:]) + (before + 1)
    if begin == 0 and part and not space[0]:
        starts = np.concatenate(([0], starts))
    return starts.astype(np.int64, copy=False)


class PlaceIndex:
    """Starts and ends of all tokens of a text, whatever the tokenizer; what a part has by itself, only the tokenizer knows."""

    def __init__(self, text: str, ends: Iterable[int], tokenizer: Tokenizer) -> None:
        self._starts, self._ends = array("q"), array("q")
        begin = last = 0
        for last in ends:
            if last - begin >= _STRETCH:
                self._add(text, begin, last, tokenizer)
                begin = last
        if last > begin:
            self._add(text, begin, last, tokenizer)

    def _add(self, text: str, begin: int, end: int, tokenizer: Tokenizer) -> None:
        places = tokenizer.offsets(text[begin:end])
        self._starts.extend([begin + start for start, _ in places])
        self._ends.extend([begin + end for _, end in places])

    def begun_before(self, place: int) -> int:
        """Return how many starts lie before a place."""
        return bisect_left(self._starts, place)

    def ended_by(self, place: int) -> int:
        """Return how many ends lie before a place, or at it."""
        return bisect_right(self._ends, place)

    def end_of(self, start: int, tokens: int, limit: int) -> int:
        """Return where the token begins that follows on so many."""
        following = bisect_right(self._ends, start) + tokens
        if following >= len(self._starts):
            return limit
        return min(max(self._starts[following], start + 1), limit)

    def is_exact(self, start: int, end: int) -> bool:
        """Never: a token may depend on what stands beside it."""
        return False
