"""The contract suite of chunkers: subclass `ChunkerContract`, give it the fixture `open_chunker`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from asyncrun.chunkers.interface import ByteTokenizer, Chunker, ChunkOptions
from asyncrun.ports import Tokenizer

OpenChunker: TypeAlias = Callable[[Tokenizer, ChunkOptions], Chunker]

TEXTS = {
    "short": "One sentence.",
    "long": "The cat sleeps. It rains in Ghent, and nobody minds. " * 40,
    "no spaces": "x" * 1000,
    "other scripts": "caf\u00e9 \u6f22\u5b57\u3002 \U0001f600 " * 30,
    "Markdown": "# Title\n\nText.\n\n- one\n- two\n\n```\ncode()\n```\n\n" * 10,
    "line ends": "\r\n a \r\n\r\n b \n\n\n" * 20,
}


class ChunkerContract:
    """What every chunker promises. The fixture `open_chunker` returns what makes one of a tokenizer and sizes.

    One that keeps to no size says so by `keeps_to_size`.

    >>> from asyncrun.registry import load
    >>> class TestMine(ChunkerContract):
    ...     @pytest.fixture
    ...     def open_chunker(self):
    ...         return load("chunkers", "sentence")
    """

    keeps_to_size = True

    @pytest.fixture
    def open_chunker(self) -> OpenChunker:
        """Return what makes a chunker."""
        raise NotImplementedError

    @pytest.fixture
    def chunker(self, open_chunker: OpenChunker) -> Chunker:
        """Return a chunker of at most 64 bytes a chunk."""
        return open_chunker(ByteTokenizer(), ChunkOptions(64, 16))

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_a_chunk_is_what_stands_at_its_place(self, chunker: Chunker, text: str) -> None:
        chunks = list(chunker(text))
        assert chunks
        assert all(chunk.text == text[chunk.start : chunk.end] and chunk.text.strip() for chunk in chunks)
        assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
        assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_nothing_but_white_space_is_left_out(self, chunker: Chunker, text: str) -> None:
        covered = {place for chunk in chunker(text) for place in range(chunk.start, chunk.end)}
        assert "".join(letter for place, letter in enumerate(text) if place not in covered).strip() == ""

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_a_chunk_keeps_to_the_size(self, chunker: Chunker, text: str) -> None:
        if self.keeps_to_size:
            assert all(ByteTokenizer().count(chunk.text) <= 64 for chunk in chunker(text))

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_a_text_has_the_same_chunks_each_time(self, chunker: Chunker, text: str) -> None:
        assert list(chunker(text)) == list(chunker(text))

    @pytest.mark.parametrize("text", ["", " ", "\n\t \r\n"])
    def test_white_space_has_no_chunk(self, chunker: Chunker, text: str) -> None:
        assert list(chunker(text)) == []
