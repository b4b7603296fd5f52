"""A text has the tokens of its words, or it is said that it has not; what is remembered is bounded."""

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.embedders import tokenizer
from asyncrun.embedders.tokenizer import FileTokenizer, MiniLMTokenizer, WordCounts, pieces

OURS = MiniLMTokenizer()
SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]
PIECES = [*SPACES, *"ab1.é日\u0301\u200b\x00[]", "[SEP]", "[MASK]"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=40)


@given(st.text(alphabet="ab \n"), st.integers(1, 10))
def test_pieces_are_the_text_and_begin_at_white_space(text, size):
    found = list(pieces(text, size))
    assert "".join(piece for _, piece in found) == text
    assert all(text[start : start + len(piece)] == piece for start, piece in found)
    assert all(piece[0].isspace() for start, piece in found if start)


@given(TEXTS)
def test_the_words_have_the_tokens_of_the_text_and_those_of_its_parts(text):
    counts = OURS.word_counts(text)
    if counts is not None:
        words = text.split()
        assert list(counts) == [OURS.count(word) - OURS.added for word in words]
        assert sum(counts) == OURS.count(text) - OURS.added
        assert sum(counts[1:-1]) == OURS.count(text.partition(words[0])[2].rpartition(words[-1])[0] if words else "") - OURS.added


@pytest.mark.parametrize("space", SPACES)
def test_white_space_inside_a_word_to_the_model_is_said(space):
    assert (OURS.word_counts(f"a{space}b") is None) == (OURS.count(f"a{space}b") != 4)
    assert sum(OURS.word_counts(f"a\n{space}b {space}") or ()) == 2


def test_a_text_longer_than_a_piece_has_all_its_words():
    assert len(OURS.word_counts("one two " * 10_000)) == 20_000


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(tokenizer, "REMEMBERED_WORDS", 3)
    asked = []
    counts = WordCounts(lambda word: asked.append(word) or len(word))
    assert list(counts.of("a a bb bb ccc d a")) == [1, 1, 2, 2, 3, 1, 1]
    assert asked == ["a", "bb", "ccc", "d", "a"]
    counts.of("x" * 65 + " " + "x" * 65)
    assert asked[5:] == ["x" * 65] * 2
    assert len(counts) <= 3


def test_a_bert_file_counts_by_words_and_others_do_not(tmp_path, minilm_reference):
    minilm_reference.save(str(tmp_path / "bert.json"))
    assert list(FileTokenizer(tmp_path / "bert.json").word_counts("hello embeddings")) == [1, 4]
    reaching = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    reaching.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    reaching.save(str(tmp_path / "other.json"))
    assert FileTokenizer(tmp_path / "other.json").word_counts("hello") is None


def test_a_file_with_a_token_over_white_space_does_not_count_by_words(tmp_path, minilm_reference):
    changed = tokenizers.Tokenizer.from_str(minilm_reference.to_str())
    changed.add_tokens([tokenizers.AddedToken("over space")])
    changed.save(str(tmp_path / "changed.json"))
    assert FileTokenizer(tmp_path / "changed.json").word_counts("over space") is None
