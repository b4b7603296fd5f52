"""A tokenizer by its name, or as the file that its model comes with."""

import sys

import pytest
import tokenizers

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.embedders.tokenizer import load_tokenizer
from asyncrun.errors import MissingExtraError, UsageError


@pytest.fixture
def file(tmp_path):
    """A tokenizer of whole words that adds one token to every text."""
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[CLS]": 0, "one": 1, "two": 2, "[UNK]": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $0", special_tokens=[("[CLS]", 0)])
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_a_file_counts_as_its_model_does(file):
    tokenizer = load_tokenizer(str(file))
    assert (tokenizer.added, tokenizer.count("one two"), tokenizer.offsets("one two")) == (1, 3, [(0, 3), (4, 7)])


def test_the_local_models_tokenizer_has_a_name():
    assert load_tokenizer("all-MiniLM-L6-v2").added == 2


def test_what_is_no_tokenizer_is_told(tmp_path):
    with pytest.raises(UsageError, match="no tokenizer is named 'cl100k'"):
        load_tokenizer("cl100k")
    with pytest.raises(UsageError, match="there is no tokenizer at"):
        load_tokenizer(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UsageError, match="is no tokenizer"):
        load_tokenizer(str(tmp_path / "bad.json"))


def test_an_embedder_cuts_and_chunks_by_the_tokenizer_that_was_named(file):
    tokenizer = OpenAIEmbedding("m", tokenizer=str(file), environ={}).tokenizer
    assert tokenizer is not None
    assert tokenizer.count("two") == 2
    assert OpenAIEmbedding("m", environ={}).tokenizer is None


def test_without_the_library_a_file_is_told_how_to_be_read(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"tokenizer\.json needs the extra 'tokenizers'") as caught:
        load_tokenizer(str(file))
    assert "asyncrun[tokenizers]" in caught.value.hint
    assert load_tokenizer("all-MiniLM-L6-v2").count("hello world") == 4
