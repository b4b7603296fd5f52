"""Chunker of Markdown: a chunk lies in one section, and carries the headings above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count

from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.sentence_boundaries import Sentence, split_sentences
from asyncrun.chunkers.sentence_chunker import SentencePacker
from asyncrun.chunkers.token_index import index_tokens
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk

_MARKS = re.compile(r"#{1,6}(?=\s|$)")
_CLOSING = re.compile(r"(?:^|\s)#+$")


class MarkdownChunker:
    r"""Cuts at headings first, and what is longer than a chunk as `SentenceChunker` does; the overlap stays within a section.

    A chunk lies in one section, however short that is: its `headings`, from the outermost to its own, are in the metadata and true of all
    of it. A heading that has no text of its own goes with the one that follows. Headings are those with `#` and those that are underlined,
    none in code.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> text = "# Cats\n\n## Food\n\nFish.\n\n## Sleep\n\nAll day."
    >>> for chunk in MarkdownChunker(ByteTokenizer())(text):
    ...     print(repr(chunk.text), chunk.metadata["headings"])
    '# Cats\n\n## Food\n\nFish.' ['Cats', 'Food']
    '## Sleep\n\nAll day.' ['Cats', 'Sleep']

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        self._tokenizer = tokenizer
        self._packer = SentencePacker(tokenizer, options or ChunkOptions())

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        sentences = split_sentences(text)
        tokens = index_tokens(text, (sentence.end for sentence in sentences), self._tokenizer)
        above: list[tuple[int, str]] = []
        ordinals = count()
        for section in _sections(sentences):
            above = _headings(text, section, above)
            known = {"headings": [title for _, title in above]} if above else {}
            for start, end in self._packer.spans(text, section, tokens):
                yield Chunk(text[start:end], start, end, next(ordinals), known)


def _sections(sentences: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
    """Yield the sentences in groups: the first of a group, and those that follow it at once, are headings if any in it are."""
    begin = 0
    for number in range(1, len(sentences)):
        if sentences[number].heading and not sentences[number - 1].heading:
            yield sentences[begin:number]
            begin = number
    if sentences:
        yield sentences[begin:]


def _headings(text: str, section: Sequence[Sentence], above: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the levels and titles that hold for a section, from those of the one before it."""
    for sentence in section:
        if not sentence.heading:
            break
        level, title = _level_and_title(text[sentence.start : sentence.end])
        above = [*(one for one in above if one[0] < level), (level, title)]
    return above


def _level_and_title(heading: str) -> tuple[int, str]:
    r"""Return what a heading says, and how deep it is.

    >>> _level_and_title("## Food ##"), _level_and_title("Title\n=====")
    ((2, 'Food'), (1, 'Title'))
    """
    if marks := _MARKS.match(heading):
        return len(marks[0]), _CLOSING.sub("", heading[marks.end() :].strip()).strip()
    title, _, line = heading.rpartition("\n")
    return (1 if line.strip().startswith("=") else 2), title.strip()
