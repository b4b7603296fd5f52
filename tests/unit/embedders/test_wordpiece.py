"""WordPiece of our own numbers and places tokens as the library does, whatever the characters."""

import random
import sys
import unicodedata

import pytest

from asyncrun.embedders.local_model import CHARACTERS, VOCABULARY
from asyncrun.embedders.wordpiece import REMEMBERED_WORDS, WordPiece
from tests.depth import DEEP

CODES = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
STEP = 1 if DEEP else 97
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[CL", "]"]
BLOCKS = [(0x61, 0x7B), (0x20, 0x600), (0x900, 0x1100), (0x3000, 0x3100), (0xAC00, 0xD7A4), (0x1D100, 0x1D200)]
PLACES = [CODES, *(range(*block) for block in BLOCKS)]
MARKS = [code for code in CODES if unicodedata.combining(chr(code))]


@pytest.fixture(scope="module")
def ours():
    return WordPiece(VOCABULARY.read(), CHARACTERS.read())


def marks_stay_in_order(text):
    """Whether no accents change places when the text is decomposed; where they do, the library's offsets are those of a neighbour."""
    read = "".join(one for one in text if one != "\ufffd" and unicodedata.category(one)[0] != "C")
    return unicodedata.normalize("NFD", read) == "".join(unicodedata.normalize("NFD", one) for one in read)


def compare(ours, theirs, text):
    encoding = theirs.encode(text, add_special_tokens=False)
    assert ours.ids(text) == encoding.ids, ascii(text)
    if marks_stay_in_order(text):
        assert ours.offsets(text) == encoding.offsets, ascii(text)


def test_every_character_within_a_word(ours, minilm_reference):
    for code in CODES[::STEP]:
        compare(ours, minilm_reference, f"a{chr(code)}b")


def test_any_characters_side_by_side(ours, minilm_reference):
    chosen = random.Random(11)
    for _ in range(50_000 if DEEP else 2_000):
        characters = (chr(chosen.choice(chosen.choice([*PLACES, MARKS]))) for _ in range(chosen.randint(1, 14)))
        compare(ours, minilm_reference, "".join(chosen.choice(SPECIAL) if chosen.random() < 0.04 else one for one in characters))


def test_words_at_the_longest_that_are_cut(ours, minilm_reference):
    for length in (99, 100, 101):
        compare(ours, minilm_reference, f"x {'ab' * length} {'é' * length} {'a' * length}.{'b' * length}")


def test_what_is_remembered_of_words_changes_nothing(ours, minilm_reference):
    for number in range(REMEMBERED_WORDS + 2):
        ours.ids(f"w{number}")
    compare(ours, minilm_reference, "w0 remembered, or not: w50001")


def test_half_a_surrogate_pair_is_read_as_nothing(ours):
    assert ours.ids("a\ud800b \udc00") == ours.ids("ab")
    assert ours.offsets("a\ud800b \udc00c") == [(0, 3), (5, 6)]
