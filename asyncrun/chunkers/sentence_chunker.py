"""Chunker by sentences: as many whole sentences as fit, measured in tokens; headings stay with what follows them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.sentence_boundaries import Sentence, split_sentences
from asyncrun.errors import UsageError
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk


class SentenceChunker:
    """Packs whole sentences into chunks of at most `size` tokens, the tokens that the model adds included.

    The next chunk repeats the last whole sentences, up to `overlap` tokens. A sentence above the size is cut, at a line end or a
    space if there is one near, else between tokens. A heading begins a new chunk when the current one is at least half full,
    nothing is repeated in front of it, and it never ends a chunk that has something after it: a question about a section
    finds the chunk with its heading.

    Every character that is no white space is in a chunk. Only a single character may be above the size, in a tokenizer that
    makes several tokens of it. The text is tokenized once to place the cuts and each chunk once to prove its size.

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        self._tokenizer = tokenizer
        self._options = options or ChunkOptions()
        self._room = self._options.size - tokenizer.added
        if self._room < 1:
            raise UsageError(f"a chunk of {self._options.size} tokens has no room beside the {tokenizer.added} that the model adds")
        if not 0 <= self._options.overlap < self._room:
            raise UsageError(f"an overlap of {self._options.overlap} tokens does not fit into a chunk with room for {self._room}")

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        sentences = split_sentences(text)
        document = _Document(text, sentences, TokenIndex(text, sentences, self._tokenizer))
        for ordinal, (start, end) in enumerate(self._spans(document)):
            yield Chunk(text[start:end], start, end, ordinal)

    def _spans(self, document: _Document) -> Iterator[tuple[int, int]]:
        sentences = document.sentences
        head = 0  # The first sentence of which a part is in no chunk yet,
        new = begin = sentences[0].start if sentences else 0  # where that part starts, and where the chunk does, the overlap included.
        while head < len(sentences):
            begin, tail = self._fill(document, begin, new, head)
            if tail == head or (tail < len(sentences) and document.headings_only(head, tail)):
                # The sentence at `tail` is too long, alone or with the headings before it.
                end = self._cut(document, new, sentences[tail].end)
                yield new, end
                head, new = document.rest(head, end)
                begin = new
            else:
                yield begin, sentences[tail - 1].end
                if tail == len(sentences):
                    return
                head, new = tail, sentences[tail].start
                begin = self._overlap_start(document, begin, tail)

    def _fill(self, document: _Document, begin: int, new: int, head: int) -> tuple[int, int]:
        """Return where a chunk begins, and the number of the sentence it ends before: `head` if not one fits."""
        sentences, tokens, tail = document.sentences, document.tokens, head
        while tail < len(sentences) and tokens.count(begin, sentences[tail].end) <= self._room:
            section = sentences[tail].heading and tail > head and not sentences[tail - 1].heading
            if section and 2 * tokens.count(begin, sentences[tail - 1].end) >= self._room:
                break
            tail += 1
        tail = document.before_headings(head, tail)
        while tail > head and self._too_long(document.text[begin : sentences[tail - 1].end]):
            # Out of its context a part may have other tokens: first the overlap goes, then the last sentence.
            if begin < new:
                begin = new
            else:
                tail = document.before_headings(head, tail - 1)
        return begin, tail

    def _cut(self, document: _Document, start: int, limit: int) -> int:
        """Return the end of a part from `start` that is not too long."""
        room = self._room
        end = document.soft_end(start, room, limit)
        while room > 1 and self._too_long(document.text[start:end]):
            counted = self._tokenizer.count(document.text[start:end]) - self._tokenizer.added
            room = max(1, min(room - 1, room * self._room // counted))
            end = document.soft_end(start, room, limit)
        while end > start + 1 and self._too_long(document.text[start:end]):
            end = start + (end - start) // 2
        return end

    def _too_long(self, text: str) -> bool:
        return self._tokenizer.count(text) > self._options.size

    def _overlap_start(self, document: _Document, begin: int, tail: int) -> int:
        """Return where the next chunk begins: with the sentences before `tail` that the overlap takes in, all after `begin`."""
        sentences, tokens = document.sentences, document.tokens
        start, until = sentences[tail].start, sentences[tail - 1].end
        number = tail
        while not sentences[number].heading and number > 0:
            number -= 1
            earlier = sentences[number].start
            repeated = tokens.count(earlier, until)
            together = tokens.count(earlier, sentences[tail].end)
            if earlier <= begin or repeated > self._options.overlap or together > self._room:
                break
            start = earlier
        while start < until and self._tokenizer.count(document.text[start:until]) - self._tokenizer.added > self._options.overlap:
            # Out of its context a part may have other tokens, here too: the overlap begins one sentence later.
            start = next(sentence.start for sentence in sentences[number:] if sentence.start > start)
        return start


@dataclass(frozen=True, slots=True)
class _Document:
    """A text with its sentences and tokens."""

    text: str
    sentences: Sequence[Sentence]
    tokens: TokenIndex

    def headings_only(self, head: int, tail: int) -> bool:
        return all(self.sentences[number].heading for number in range(head, tail))

    def before_headings(self, head: int, tail: int) -> int:
        """Move the end of a chunk in front of the headings it ends with, unless it has nothing else or nothing follows."""
        body = tail
        while body > head and self.sentences[body - 1].heading:
            body -= 1
        return body if body > head and tail < len(self.sentences) else tail

    def soft_end(self, start: int, tokens: int, limit: int) -> int:
        """Return where a part of so many tokens ends: at a line end, else a space, if there is one in its second half."""
        text, end = self.text, self.tokens.end_of(start, tokens, limit)
        if end < limit and not text[end].isspace() and not text[end - 1].isspace():
            middle = start + (end - start + 1) // 2
            end = next((found for soft in "\n " if (found := text.rfind(soft, middle, end)) > start), end)
        return start + len(text[start:end].rstrip())

    def rest(self, head: int, end: int) -> tuple[int, int]:
        """Return the first sentence that goes on behind `end`, and where it does."""
        while head < len(self.sentences) and self.sentences[head].end <= end:
            head += 1
        if head == len(self.sentences):
            return head, end
        start = max(end, self.sentences[head].start)
        while self.text[start].isspace():
            start += 1
        return head, start


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
