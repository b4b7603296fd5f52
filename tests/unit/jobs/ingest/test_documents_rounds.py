"""Rounds hold all documents once, in order, and are no larger than they need to be."""

from __future__ import annotations

from collections.abc import Iterator

from asyncrun.errors import Place
from asyncrun.jobs.ingest.documents import cut_here, rounds
from asyncrun.records import Chunk, Item, text_key


def words(text: str) -> Iterator[Chunk]:
    for ordinal, word in enumerate(text.split()):
        yield Chunk(word, 0, len(word), ordinal)


def test_rounds_hold_every_document_once_with_the_keys_of_its_chunks() -> None:
    documents = [(Item(str(number), f"a{number} b", Place("x")), f"mark {number}") for number in range(1000)]
    made = list(rounds(cut_here(documents, words), text_key, workers=1, max_items=16))
    assert len(made) > 1
    flat = [document for batch in made for document in batch]
    assert [document.item.id for document in flat] == [str(number) for number in range(1000)]
    assert flat[7].mark == "mark 7"
    assert flat[7].keys == (text_key("a7"), text_key("b"))


def test_a_document_without_chunks_is_in_a_round_too() -> None:
    [[document]] = rounds(cut_here([(Item("a", " ", Place("x")), "m")], words), text_key, workers=1, max_items=16)
    assert document.chunks == ()
