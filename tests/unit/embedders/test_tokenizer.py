"""The tokenizer of the local model counts and places tokens as the model's own file says, in pieces as in one."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.embedders.tokenizer import MiniLMTokenizer

OURS = MiniLMTokenizer()
# Accents that change places are compared in test_wordpiece.py.
MARKED = st.text(alphabet=st.sampled_from("ab1 \n\t.,-éÄ日本ß\u0301\u200b\x00[]SEP"), max_size=60)
TEXTS = MARKED | st.text(alphabet=st.characters(exclude_categories=("Cs", "M")), max_size=60)


@given(TEXTS)
def test_counts_and_offsets_are_those_of_the_file(minilm_reference, text):
    encoding = minilm_reference.encode(text)
    assert OURS.count(text) == len(encoding.ids)
    assert OURS.offsets(text) == minilm_reference.encode(text, add_special_tokens=False).offsets


@given(TEXTS, st.integers(3, 20))
def test_cut_numbers_are_those_of_the_file_cut(minilm_reference, text, limit):
    ids, cut = OURS.ids(text, limit)
    whole = minilm_reference.encode(text).ids
    assert cut == (len(whole) > limit)
    assert ids == (whole if not cut else [*whole[: limit - 1], whole[-1]])


def test_a_long_text_in_pieces_is_the_same_as_in_one(minilm_reference):
    text = "Une phrase, ünïcode 日本語 and wordpieces everywhere. " * 3000
    assert OURS.offsets(text) == minilm_reference.encode(text, add_special_tokens=False).offsets
    assert OURS.ids(text, 256)[0] == [*minilm_reference.encode(text).ids[:255], 102]


def test_half_a_surrogate_pair_does_not_move_the_offsets():
    assert OURS.offsets("a\ud800 b")[-1] == (3, 4)
    assert OURS.count("\ud800") >= OURS.added


def test_it_loads_neither_the_model_nor_a_library():
    code = "import sys; from asyncrun.embedders.tokenizer import MiniLMTokenizer"
    code += "; print(MiniLMTokenizer().count('a'), 'tokenizers' in sys.modules, 'onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "3 False False\n"
