"""Where the tokens of a text are: counted once, then asked about any part of it."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from asyncrun.chunkers.boundaries import Sentence
from asyncrun.ports import Tokenizer

_STRETCH = 50_000
"""Characters that are tokenized at once: a whole book would take a hundred bytes a token meanwhile."""


class TokenIndex:
    """Starts and ends of all tokens of a text."""

    def __init__(self, text: str, sentences: Sequence[Sentence], tokenizer: Tokenizer) -> None:
        self._starts, self._ends = array("q"), array("q")
        begin = 0
        for number, sentence in enumerate(sentences):
            if sentence.end - begin >= _STRETCH or number == len(sentences) - 1:
                for start, end in tokenizer.offsets(text[begin : sentence.end]):
                    self._starts.append(begin + start)
                    self._ends.append(begin + end)
                begin = sentence.end

    def count(self, start: int, end: int) -> int:
        """Return how many tokens lie in a part of the text, wholly or not."""
        return bisect_left(self._starts, end) - bisect_right(self._ends, start)

    def end_of(self, start: int, tokens: int, limit: int) -> int:
        """Return where a part ends that begins at `start` and has so many tokens; `limit` at most, `start + 1` at least."""
        following = bisect_right(self._ends, start) + tokens
        if following >= len(self._starts):
            return limit
        return min(max(self._starts[following], start + 1), limit)
