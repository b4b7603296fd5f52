"""Chunker by sentences: as many whole ones as fit, measured in tokens; headings stay with what follows them. And what packs them so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncrun.chunkers.cutting import Cutter
from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.sentence_boundaries import Sentence, split_sentences
from asyncrun.chunkers.token_index import PlaceIndex, TokenIndex, index_quickly
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk

_MARKS_OF_HEADINGS = ("#", "=", "--")


class SentenceChunker:
    """Packs whole sentences into chunks of at most `size` tokens, the tokens that the model adds included.

    The next chunk repeats the last whole sentences, up to `overlap` tokens. A sentence above the size is cut, at a line end or a
    space if there is one near, else between tokens. A heading begins a new chunk when the current one is at least half full,
    nothing is repeated in front of it, and it never ends a chunk that has something after it: a question about a section
    finds the chunk with its heading.

    Every character that is no white space is in a chunk. Only a single character may be above the size, in a tokenizer that
    makes several tokens of it. The text is tokenized once to place the cuts; where a token may depend on what stands beside it,
    each chunk once more, to prove its size.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> chunker = SentenceChunker(ByteTokenizer(), ChunkOptions(size=24, overlap=0))
    >>> [chunk.text for chunk in chunker("Cats purr. Dogs bark. Cows moo.")]
    ['Cats purr. Dogs bark.', 'Cows moo.']

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        self._tokenizer = tokenizer
        self._packer = SentencePacker(tokenizer, options or ChunkOptions())

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        tokens = index_quickly(text, self._tokenizer)
        if tokens is not None and tokens.total() <= self._packer.room and not any(mark in text for mark in _MARKS_OF_HEADINGS):
            # Its sentences all fit, whichever they are.
            if whole := text.strip():
                start = text.index(whole[0])
                yield Chunk(whole, start, start + len(whole), 0)
            return
        sentences = split_sentences(text)
        index = tokens or PlaceIndex(text, (sentence.end for sentence in sentences), self._tokenizer)
        for ordinal, (start, end) in enumerate(self._packer.spans(text, sentences, index)):
            yield Chunk(text[start:end], start, end, ordinal)


class SentencePacker:
    """Finds the parts of a text that hold as many whole sentences as fit, as `SentenceChunker` promises them.

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions) -> None:
        self._cutter = Cutter(tokenizer, options)
        self.room = self._cutter.room
        self._overlap = options.overlap

    def spans(self, text: str, sentences: Sequence[Sentence], tokens: TokenIndex) -> Iterator[tuple[int, int]]:
        """Yield start and end of each part, in their order; `sentences` may be those of a stretch of the text."""
        return self._spans(_Document(text, sentences, tokens, [tokens.begun_before(sentence.end) for sentence in sentences]))

    def _spans(self, document: _Document) -> Iterator[tuple[int, int]]:
        sentences = document.sentences
        head = 0  # The first sentence of which a part is in no chunk yet,
        new = begin = sentences[0].start if sentences else 0  # where that part starts, and where the chunk does, the overlap included.
        while head < len(sentences):
            begin, tail = self._fill(document, begin, new, head)
            if tail == head or (tail < len(sentences) and document.headings_only(head, tail)):
                # The sentence at `tail` is too long, alone or with the headings before it.
                end = self._cutter.cut(document.text, document.tokens, new, sentences[tail].end)
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
        sentences, until, tail = document.sentences, document.until, head
        ended = document.tokens.ended_by(begin)
        while tail < len(sentences) and until[tail] - ended <= self.room:
            section = sentences[tail].heading and tail > head and not sentences[tail - 1].heading
            if section and 2 * (until[tail - 1] - ended) >= self.room:
                break
            tail += 1
        tail = document.before_headings(head, tail)
        while tail > head and self._cutter.too_long(document.text, document.tokens, begin, sentences[tail - 1].end):
            # Out of its context a part may have other tokens: first the overlap goes, then the last sentence.
            if begin < new:
                begin = new
            else:
                tail = document.before_headings(head, tail - 1)
        return begin, tail

    def _overlap_start(self, document: _Document, begin: int, tail: int) -> int:
        """Return where the next chunk begins: with the sentences before `tail` that the overlap takes in, all after `begin`."""
        sentences = document.sentences
        start, until = sentences[tail].start, sentences[tail - 1].end
        number = tail
        while not sentences[number].heading and number > 0:
            number -= 1
            earlier = sentences[number].start
            ended = document.tokens.ended_by(earlier)
            repeated, together = document.until[tail - 1] - ended, document.until[tail] - ended
            if earlier <= begin or repeated > self._overlap or together > self.room:
                break
            start = earlier
        while start < until and self._cutter.tokens_alone(document.text, document.tokens, start, until) > self._overlap:
            # Out of its context a part may have other tokens, here too: the overlap begins one sentence later.
            start = next(sentence.start for sentence in sentences[number:] if sentence.start > start)
        return start


@dataclass(frozen=True, slots=True)
class _Document:
    """A text with its sentences and tokens; `until` counts those that begin before the end of each sentence."""

    text: str
    sentences: Sequence[Sentence]
    tokens: TokenIndex
    until: Sequence[int]

    def headings_only(self, head: int, tail: int) -> bool:
        return all(self.sentences[number].heading for number in range(head, tail))

    def before_headings(self, head: int, tail: int) -> int:
        """Move the end of a chunk in front of the headings it ends with, unless it has nothing else or nothing follows."""
        body = tail
        while body > head and self.sentences[body - 1].heading:
            body -= 1
        return body if body > head and tail < len(self.sentences) else tail

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
