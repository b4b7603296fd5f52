"""A document that a worker cuts has the chunks that it has when it is cut here, whatever the chunker and the tokenizer."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun import registry
from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.chunkers.page_chunker import with_pages
from asyncrun.chunkers.worker_chunker import ChunkerPart, chunker_part, unpack_chunks
from asyncrun.embedders.tokenizer import MiniLMTokenizer, load_tokenizer
from asyncrun.executors.worker import Returned, Worker
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk
from tests.depth import times

PIECES = st.sampled_from(
    [
        "One sentence. ",
        "# A heading\n\n",
        "\f",
        "def purr(self):\n    return 1\n",
        "caf\u00e9 \u6f22\u5b57\u3002 \U0001f600 ",
        "x" * 90,
        "\n\n",
        "- a\n- b\n",
    ]
)
DOCUMENTS = st.lists(st.lists(PIECES | st.text(max_size=40), max_size=30).map("".join), max_size=4)
TOKENIZERS: dict[str, Tokenizer] = {"bytes": ByteTokenizer(), "local": MiniLMTokenizer()}


def cut_in_a_worker(part: ChunkerPart, texts: Sequence[str]) -> list[tuple[Chunk, ...]]:
    async def main() -> list[tuple[Chunk, ...]]:
        worker = Worker()
        try:
            answer = await worker.call(pickle.loads(pickle.dumps(part)), "cut", (texts,))
        finally:
            await worker.aclose()
        assert isinstance(answer, Returned), answer
        return [unpack_chunks(text, packed) for text, packed in zip(texts, answer.value, strict=True)]

    return asyncio.run(main())


def part_of(by: str, tokenizer: Tokenizer) -> ChunkerPart:
    part = chunker_part(by, ChunkOptions(48, 8), tokenizer)
    assert part is not None
    return part


@pytest.mark.parametrize("by", sorted(registry.BUILT_IN["chunkers"]))
@settings(max_examples=times(quick=10, deep=200))
@given(texts=DOCUMENTS, tokenizer=st.sampled_from(sorted(TOKENIZERS)))
def test_a_worker_cuts_every_document_as_it_is_cut_here(by: str, texts: list[str], tokenizer: str) -> None:
    chunker = registry.load("chunkers", by)(TOKENIZERS[tokenizer], ChunkOptions(48, 8))
    here = [tuple(with_pages(text, chunker(text))) for text in texts]
    assert cut_in_a_worker(part_of(by, TOKENIZERS[tokenizer]), texts) == here


def test_a_tokenizer_json_goes_to_workers_with_its_content(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(str(tmp_path / "tokenizer.json"))
    part, text = part_of("token", tokenizer), "one two " * 100
    (tmp_path / "tokenizer.json").unlink()
    chunker = registry.load("chunkers", "token")(tokenizer, ChunkOptions(48, 8))
    assert cut_in_a_worker(part, [text]) == [tuple(chunker(text))]


class Loud:
    """A chunker whose chunks are not what stands in the text."""

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions) -> None:
        pass

    def __call__(self, text: str) -> Iterator[Chunk]:
        yield Chunk(text.upper(), 0, len(text), 0, {"loud": True})


def test_a_chunker_of_others_may_give_a_text_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda port, name: Loud)
    assert cut_in_a_worker(part_of("loud", ByteTokenizer()), ["purr"]) == [(Chunk("PURR", 0, 4, 0, {"loud": True}),)]


class Bound(ByteTokenizer):
    """A tokenizer that cannot leave its process."""

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle")


def test_a_tokenizer_that_cannot_travel_leaves_the_cutting_where_it_is() -> None:
    assert chunker_part("sentence", ChunkOptions(), Bound()) is None


def test_two_jobs_that_cut_alike_share_what_a_worker_has_open() -> None:
    assert part_of("sentence", MiniLMTokenizer()) == part_of("sentence", MiniLMTokenizer())
    assert part_of("sentence", MiniLMTokenizer()) != part_of("token", MiniLMTokenizer())
