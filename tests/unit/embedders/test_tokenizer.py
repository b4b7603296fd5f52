"""The tokenizer of the local model counts and places tokens as the model's own file says, in pieces as in one."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from asyncrun.embedders.local_model import TOKENIZER
from asyncrun.embedders.tokenizer import FileTokenizer, pieces

OURS = FileTokenizer()
TEXTS = st.text(alphabet=st.sampled_from("ab1 \n\t.,-éÄ日本ß\u0301\u200b\x00[]SEP"), max_size=60) | st.text(max_size=60)


@pytest.fixture(scope="module")
def reference():
    loaded = Tokenizer.from_file(str(TOKENIZER.find()))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


@given(TEXTS)
def test_counts_and_offsets_are_those_of_the_file(reference, text):
    encoding = reference.encode(text)
    assert OURS.count(text) == len(encoding.ids)
    assert OURS.offsets(text) == reference.encode(text, add_special_tokens=False).offsets


@given(TEXTS, st.integers(3, 20))
def test_cut_numbers_are_those_of_the_file_cut(reference, text, limit):
    ids, cut = OURS.ids(text, limit)
    whole = reference.encode(text).ids
    assert cut == (len(whole) > limit)
    assert ids == (whole if not cut else [*whole[: limit - 1], whole[-1]])


@given(st.text(alphabet="ab \n"), st.integers(1, 10))
def test_pieces_are_the_text_and_begin_at_white_space(text, size):
    found = list(pieces(text, size))
    assert "".join(piece for _, piece in found) == text
    assert all(text[start : start + len(piece)] == piece for start, piece in found)
    assert all(piece[0].isspace() for start, piece in found if start)


def test_a_long_text_in_pieces_is_the_same_as_in_one(reference):
    text = "Une phrase, ünïcode 日本語 and wordpieces everywhere. " * 3000
    assert OURS.offsets(text) == reference.encode(text, add_special_tokens=False).offsets
    assert OURS.ids(text, 256)[0] == [*reference.encode(text).ids[:255], 102]


def test_half_a_surrogate_pair_does_not_move_the_offsets():
    assert OURS.offsets("a\ud800 b")[-1] == (3, 4)
    assert OURS.count("\ud800") >= OURS.added


def test_it_does_not_load_the_model():
    code = "import sys; from asyncrun.embedders.tokenizer import FileTokenizer"
    code += "; print(FileTokenizer().count('a'), 'tokenizers' in sys.modules, 'onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "3 True False\n"
