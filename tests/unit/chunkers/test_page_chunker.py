"""A chunk knows the page that it begins on, however it was cut; cut by pages it lies on one."""

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions, WholeChunker
from asyncrun.chunkers.page_chunker import PageChunker, with_pages
from asyncrun.chunkers.sentence_chunker import SentenceChunker
from asyncrun.records import Chunk

texts = st.lists(st.sampled_from(["\f", "One. ", "Two words. ", "\n", " ", "é" * 30, "# H\n"]), max_size=40).map("".join)


@given(texts, st.sampled_from([SentenceChunker, PageChunker]))
def test_the_page_is_that_of_the_first_character(text, chunker):
    for chunk in with_pages(text, chunker(ByteTokenizer(), ChunkOptions(24, 8))(text)):
        if "\f" in text:
            assert chunk.metadata == {"page": text[: chunk.start].count("\f") + 1}
        else:
            assert chunk.metadata == {}


@given(texts)
def test_cut_by_pages_no_chunk_lies_on_two_and_none_is_repeated(text):
    chunks = list(PageChunker(ByteTokenizer(), ChunkOptions(24, 8))(text))
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == text[chunk.start : chunk.end] and "\f" not in chunk.text for chunk in chunks)
    pages = {text[: chunk.start].count("\f") for chunk in chunks}
    assert pages == {number for number, page in enumerate(text.split("\f")) if page.strip()}


def test_what_a_chunker_knows_itself_stays():
    chunk = Chunk("b", 2, 3, 0, {"page": 7, "headings": ["A"]})
    assert next(with_pages("a\fb", [chunk])).metadata == {"page": 7, "headings": ["A"]}


def test_a_whole_document_begins_on_its_first_page():
    assert [chunk.metadata for chunk in with_pages("a\fb", WholeChunker()("a\fb"))] == [{"page": 1}]
