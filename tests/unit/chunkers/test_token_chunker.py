"""Windows of tokens keep to the size and the overlap, go on without a gap, and end between words."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.chunkers.token_chunker import TokenChunker
from asyncrun.embedders.tokenizer import MiniLMTokenizer
from tests.depth import times

LOCAL, BYTES = MiniLMTokenizer(), ByteTokenizer()


class Slow:
    """A tokenizer of which nothing is known but what every one can do."""

    def __init__(self, tokenizer):
        self.added, self.count, self.offsets = tokenizer.added, tokenizer.count, tokenizer.offsets


pieces = st.sampled_from(
    ["word ", "internationalization ", "a", " ", "\n", "é", "日本", "。", "😀", "x" * 40, "\f", "a\x1cb", "[SEP]", "\t"]
)
texts = st.lists(pieces, max_size=60).map("".join) | st.text(st.characters(exclude_categories=("Cs",)), max_size=100)
options = st.integers(3, 30).flatmap(lambda size: st.builds(ChunkOptions, st.just(size), st.integers(0, size - 3)))


@settings(max_examples=times(quick=100, deep=1000))
@given(texts, options, st.sampled_from([LOCAL, BYTES]))
def test_the_windows_are_as_promised_and_those_of_the_slow_way(text, options, tokenizer):
    chunks = list(TokenChunker(tokenizer, options)(text))
    assert chunks == list(TokenChunker(Slow(tokenizer), options)(text))
    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    assert all(character.isspace() or place in covered for place, character in enumerate(text))
    for number, chunk in enumerate(chunks):
        assert (chunk.ordinal, chunk.text) == (number, text[chunk.start : chunk.end])
        assert tokenizer.count(chunk.text) <= options.size or len(chunk.text) == 1
    for one, two in pairwise(chunks):
        assert one.start < two.start
        assert one.end < two.end
        assert two.start >= one.end or tokenizer.count(text[two.start : one.end]) - tokenizer.added <= options.overlap


def test_a_window_is_full_and_repeats_what_the_overlap_says():
    words = [f"w{number}" for number in range(100)]
    chunks = list(TokenChunker(BYTES, ChunkOptions(40, 12))(" ".join(words)))
    assert all(36 <= len(chunk.text) <= 40 for chunk in chunks[:-1])
    assert all(one.text.endswith(two.text[: one.end - two.start]) and 8 <= one.end - two.start <= 12 for one, two in pairwise(chunks))
    assert all(set(chunk.text.split()) <= set(words) for chunk in chunks)


def test_a_text_without_white_space_is_cut_between_tokens_and_overlaps():
    chunks = list(TokenChunker(BYTES, ChunkOptions(30, 9))("日本" * 20))
    assert {len(chunk.text) for chunk in chunks[:-1]} == {10}
    assert {one.end - two.start for one, two in pairwise(chunks)} == {3}
