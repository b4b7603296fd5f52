"""Long texts are cut and split without losing or inventing a character."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.embedders.long_and_empty_texts import cut_to_fit, equal_parts, parts_needed, weighted_mean, weights


class Words:
    """A tokenizer whose tokens are words."""

    added = 2

    def count(self, text):
        return self.added + len(text.split())

    def offsets(self, text):
        import re

        return [match.span() for match in re.finditer(r"\S+", text)]


@given(st.text(alphabet="ab ", min_size=2), st.integers(1, 9), st.booleans())
def test_parts_are_the_text(text, count, with_tokenizer):
    parts = equal_parts(text, count, Words() if with_tokenizer else None)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert all(part.strip() for part in parts)


def test_parts_are_equal_in_tokens():
    text = " ".join(["word"] * 5 + ["x"] * 5)
    assert [len(part.split()) for part in equal_parts(text, 2, Words())] == [5, 5]


@pytest.mark.parametrize(
    ("tokenizer", "limit", "message", "count"),
    [
        (Words(), 12, "", 10),
        (Words(), 102, "", 2),
        (None, None, "must have less than 30 tokens. Given: 100", 4),
        (None, None, "too long", 2),
    ],
)
def test_as_few_parts_as_can_be_known(tokenizer, limit, message, count):
    assert parts_needed(" ".join(["word"] * 100), "", tokenizer, limit, message) == count


def test_the_prefix_takes_its_room():
    assert parts_needed("a b c d e f", "query: ", Words(), 6, "") == 2
    assert cut_to_fit("a b c d e f", "query: ", Words(), 6, "") == "a b c"


def test_a_text_is_cut_where_the_last_token_that_fits_ends():
    assert cut_to_fit("one two three four", "", Words(), 5, "") == "one two three"


@given(st.text(min_size=1), st.sampled_from(["too long", "less than 512 tokens. Given: 700", "less than 700 tokens. Given: 512"]))
def test_a_cut_text_is_a_shorter_beginning(text, message):
    cut = cut_to_fit(text, "", None, None, message)
    assert text.startswith(cut)
    assert len(cut) < len(text)


def test_the_mean_weighs_by_tokens_and_has_unit_length():
    mean = weighted_mean(np.array([[1, 0], [0, 1]], np.float32), [3, 4])
    assert mean.dtype == np.float32
    assert mean.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    assert weights(["a b c", "d"], Words()) == [3, 1]
    assert weights(["abc", "é"], None) == [3, 2]
