"""The fast ways to count tokens find what the slow one finds, which tokenizes the whole text; so chunks are cut at the same places."""

import json
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.chunkers.sentence_chunker import SentenceChunker
from asyncrun.chunkers.token_index import PlaceIndex, index_tokens, word_starts
from asyncrun.embedders.tokenizer import MiniLMTokenizer
from tests.depth import times

LOCAL = MiniLMTokenizer()
BYTES = ByteTokenizer()


class Slow:
    """A tokenizer of which nothing is known but what every one can do."""

    def __init__(self, tokenizer):
        self.added, self.count, self.offsets = tokenizer.added, tokenizer.count, tokenizer.offsets


words = st.sampled_from(
    [
        *("word ", "Word. ", "e.g. ", "Is it? ", "internationalization ", "a", " ", "# Head\n", "```\n", "- item\n", "...", "_", "[SEP]"),
        *("\n", "\n\n", "\f", "\n\f", "\x1c", "\x85", "\u2028", "\u3000", "\xa0", "\u200b", "\ufffd", "\0", "e\u0301", "é", "😀"),
        *("Über die Straße. ", "größer ", "Привет, мир. ", "слово ", "東京は首都です。", "日本", "中文。", "「はい。」", "한국어 ", "ไทย"),
        *("x" * 70, "-" * 90 + "\n", "a" * 120 + "." + "b" * 30, "| a | b |\n", "https://example.org/a/b?c=d&e=f "),
    ]
)
texts = st.lists(words, max_size=80).map("".join) | st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
options = st.integers(3, 40).flatmap(lambda size: st.builds(ChunkOptions, st.just(size), st.integers(0, size - 3)))


@settings(max_examples=times(quick=100, deep=2000))
@given(text=texts, options=options, tokenizer=st.sampled_from([LOCAL, BYTES]))
def test_the_cuts_are_those_of_the_slow_way(text, options, tokenizer):
    assert list(SentenceChunker(tokenizer, options)(text)) == list(SentenceChunker(Slow(tokenizer), options)(text))


@settings(max_examples=times(quick=100, deep=2000))
@given(text=texts, tokenizer=st.sampled_from([LOCAL, BYTES]), data=st.data())
def test_any_place_has_the_same_tokens_before_it(text, tokenizer, data):
    fast, slow = index_tokens(text, [len(text)], tokenizer), PlaceIndex(text, [len(text)], tokenizer)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    tokens = data.draw(st.integers(1, 12))
    assert fast.begun_before(end) - fast.ended_by(start) == slow.begun_before(end) - slow.ended_by(start)
    assert fast.end_of(start, tokens, len(text)) == slow.end_of(start, tokens, len(text))
    if fast.is_exact(start, end):
        assert fast.begun_before(end) - fast.ended_by(start) == tokenizer.count(text[start:end]) - tokenizer.added


def compare(texts, size):
    for tokenizer in (LOCAL, BYTES):
        chunker, reference = (SentenceChunker(one, ChunkOptions(size, size // 8)) for one in (tokenizer, Slow(tokenizer)))
        for text in texts:
            assert list(chunker(text)) == list(reference(text))


@pytest.mark.parametrize(("size", "step"), [(16, 8), (256, 3)])
def test_real_pages_are_cut_as_in_the_slow_way(size, step, pytestconfig):
    pages = sorted((pytestconfig.rootpath / "docs").glob("*.md"))[::step]
    assert pages
    compare([page.read_text(encoding="utf-8") for page in pages], size)


def test_abstracts_are_cut_as_in_the_slow_way(cranfield):
    lines = (cranfield / "docs.jsonl").read_text(encoding="utf-8").splitlines()
    compare([json.loads(line)["text"] for line in lines[::10]], 64)


def test_a_text_of_words_is_not_tokenized_as_a_whole():
    asked = []

    class Counted(Slow):
        def __init__(self):
            super().__init__(LOCAL)
            self.offsets = lambda text: asked.append(len(text)) or LOCAL.offsets(text)
            self.count = self.offsets

        def word_counts(self, text):
            return LOCAL.word_counts(text)

    assert len(list(SentenceChunker(Counted(), ChunkOptions())("A sentence of seven words is here. " * 5_000))) > 100
    assert sum(asked) < 100


def test_a_text_is_tokenized_in_stretches_that_end_at_sentences():
    asked = []

    class Counted(Slow):
        def __init__(self):
            super().__init__(LOCAL)
            self.offsets = lambda text: asked.append(text) or LOCAL.offsets(text)

    list(SentenceChunker(Counted(), ChunkOptions())("A sentence of seven words is here. " * 5_000))
    assert 3 <= len(asked) <= 5
    assert all(text.endswith("here.") for text in asked)


def test_words_begin_where_white_space_ends_whatever_it_is():
    codes = [code for code in range(sys.maxunicode + 1) if code < 0x4000 or code % 64 == 0]
    text = "".join(f"{chr(code)}a" for code in codes)
    expected = [match.start() for match in re.finditer(r"\S+", text)]
    for step in (len(text), 1000):
        assert [place for begin in range(0, len(text), step) for place in word_starts(text, begin, begin + step)] == expected


@pytest.mark.parametrize("text", ["", " ", "a", " a", "a ", "é", "\u3000é\u3000"])
def test_the_words_of_the_shortest_texts(text):
    assert word_starts(text, 0, 100).tolist() == [match.start() for match in re.finditer(r"\S+", text)]
