"""How much of a text fits into a chunk, by the tokens that it has by itself, and where it is best cut."""

from __future__ import annotations

from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.token_index import TokenIndex
from asyncrun.errors import UsageError
from asyncrun.ports import Tokenizer


class Cutter:
    """Cuts parts of at most `room` tokens: the size without the tokens that the model adds.

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions) -> None:
        self._tokenizer = tokenizer
        self.room = options.size - tokenizer.added
        if self.room < 1:
            raise UsageError(f"a chunk of {options.size} tokens has no room beside the {tokenizer.added} that the model adds")
        if not 0 <= options.overlap < self.room:
            raise UsageError(f"an overlap of {options.overlap} tokens does not fit into a chunk with room for {self.room}")

    def tokens_alone(self, text: str, tokens: TokenIndex, start: int, end: int) -> int:
        """Return how many tokens a part of the text has by itself."""
        if tokens.is_exact(start, end):
            return tokens.begun_before(end) - tokens.ended_by(start)
        return self._tokenizer.count(text[start:end]) - self._tokenizer.added

    def too_long(self, text: str, tokens: TokenIndex, start: int, end: int) -> bool:
        """Tell whether a part of the text does not fit."""
        return self.tokens_alone(text, tokens, start, end) > self.room

    def cut(self, text: str, tokens: TokenIndex, start: int, limit: int, *, at_lines: bool = True) -> int:
        """Return the end of a part from `start` that is not too long: at a line end or a space if there is one in its second half.

        Where that may be at any white space, `at_lines` is false; else a line end is better than a space behind it.
        """
        room = self.room
        end = _soft_end(text, start, tokens.end_of(start, room, limit), limit, at_lines)
        while room > 1 and self.too_long(text, tokens, start, end):
            counted = self.tokens_alone(text, tokens, start, end)
            room = max(1, min(room - 1, room * self.room // counted))
            end = _soft_end(text, start, tokens.end_of(start, room, limit), limit, at_lines)
        while end > start + 1 and self.too_long(text, tokens, start, end):
            end = start + (end - start) // 2
        return end


def _soft_end(text: str, start: int, end: int, limit: int, at_lines: bool) -> int:
    if end < limit and not text[end].isspace() and not text[end - 1].isspace():
        middle = start + (end - start + 1) // 2
        line, space = text.rfind("\n", middle, end), text.rfind(" ", middle, end)
        found = line if at_lines and line > start else max(line, space)
        end = found if found > start else end
    return start + len(text[start:end].rstrip())
