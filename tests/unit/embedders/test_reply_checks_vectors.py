"""No vector is believed that was not proven: whatever a server sends, a row is right or it is not there."""

import base64
import math
import struct

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.embedders.reply_checks import positions_of, prove
from asyncrun.endpoints.replies import BadReplyError
from tests.depth import times


def encoded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_rows_come_in_the_order_of_the_texts_as_float32():
    proof = prove([[2, 0], [3.5, 0], [1.0, 0]], [1, 2, 0], 3)
    assert proof.vectors.dtype == np.float32
    assert proof.vectors.tolist() == [[1, 0], [2, 0], [3.5, 0]]
    assert (proof.positions, proof.rejected, proof.dimensions) == ((0, 1, 2), {}, 2)


def test_base64_is_little_endian_float32():
    assert prove([encoded(1.5, -2.0)], None, 1).vectors.tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("rows", [0, 1, 2, 4, 7])
def test_too_few_too_many_or_one_fused_vector_for_three_texts_are_rejected(rows):
    with pytest.raises(BadReplyError, match=f"{rows} vectors for 3 texts"):
        prove([[1.0]] * rows, [*range(rows)], 3)


@pytest.mark.parametrize("indexes", [[0, 0], [1, 2], [-1, 0], [0, "1"], [0, 1.0], [False, True], [1, 1], [0, 10**30]])
def test_duplicate_out_of_range_or_strange_indexes_are_rejected(indexes):
    with pytest.raises(BadReplyError, match="index"):
        prove([[1.0], [2.0]], indexes, 2)


def test_an_index_that_is_not_sent_is_0_when_0_is_what_is_missing():
    assert prove([[2.0], [1.0], [3.0]], [1, None, 2], 3).vectors.tolist() == [[1], [2], [3]]


def test_without_any_index_the_order_counts():
    assert positions_of([None, None, None], 3, 3) == [0, 1, 2]


@pytest.mark.parametrize("indexes", [[None, None, 2], [None, 0, 1], [0, 1, None]])
def test_other_holes_in_the_indexes_are_rejected(indexes):
    with pytest.raises(BadReplyError):
        prove([[1.0], [2.0], [3.0]], indexes, 3)


BROKEN = {
    "null vector": None,
    "null element": [1.0, None],
    "numbers as strings": ["1.0", "2.0"],
    "booleans": [True, 1.0],
    "false among numbers": [0.5, False],
    "nan": [float("nan"), 1.0],
    "infinity": [1.0, float("inf")],
    "1e39 does not fit float32": [1e39, 1.0],
    "integer that fits no float": [10**400, 1],
    "nested": [[1.0, 2.0]],
    "empty": [],
    "object": {"0": 1.0},
    "number": 1.0,
    "empty string": "",
    "not base64": "?!",
    "base64 of 5 bytes": base64.b64encode(b"12345").decode(),
    "base64 with padding that it does not need": base64.b64encode(bytes(12)).decode() + "=",
    "base64 with a line break": encoded(1, 2)[:4] + "\n" + encoded(1, 2)[4:],
    "non-ascii string": "é",
    "base64 of NaN": encoded(math.nan, 1),
    "base64 of infinity": encoded(1, -math.inf),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_row_that_is_no_vector_is_rejected_alone_and_the_rest_is_kept(broken):
    proof = prove([[1.0, 2.0], broken, [3.0, 4.0]], [0, 1, 2], 3)
    assert proof.vectors.tolist() == [[1, 2], [3, 4]]
    assert proof.positions == (0, 2)
    assert list(proof.rejected) == [1]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_when_no_row_is_a_vector_none_is_returned(broken):
    proof = prove([broken], [0], 1)
    assert (proof.positions, len(proof.vectors), proof.dimensions) == ((), 0, None)
    assert proof.rejected[0]


def test_another_dimension_than_known_is_rejected_alone_and_named():
    proof = prove([[1.0, 2.0], [1.0]], [0, 1], 2, dimensions=2)
    assert (proof.positions, proof.rejected) == ((0,), {1: "the vector has 1 dimensions instead of 2"})
    assert proof.other_dimensions == {1}


def test_different_dimensions_and_none_known_reject_the_batch():
    with pytest.raises(BadReplyError, match="different dimensions: 2 and 1"):
        prove([[1.0, 2.0], [1.0]], [0, 1], 2)


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
noise = st.none() | st.booleans() | st.text(max_size=4) | st.integers() | st.floats() | st.lists(st.none() | st.floats(), max_size=3)


@st.composite
def replies(draw):
    """A right reply with anything done to it, and the vectors that the texts really have."""
    count, size = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    truth = draw(st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=count, max_size=count))
    rows = [(index, draw(st.sampled_from([vector, encoded(*vector)]))) for index, vector in enumerate(truth)]
    # What no client can notice is left out: a reply without indexes in another order.
    rows = draw(st.permutations(rows))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(len(rows) - 1, 0)))
        match draw(st.sampled_from(["drop", "double", "vector", "index", "extra"])):
            case "drop":
                del rows[place : place + 1]
            case "double":
                rows[place:place] = rows[place : place + 1]
            case "vector":
                rows[place : place + 1] = [(index, draw(noise)) for index, _ in rows[place : place + 1]]
            case "index":
                rows[place : place + 1] = [(draw(noise | st.integers(-1, 6)), vector) for _, vector in rows[place : place + 1]]
            case "extra":
                rows.append((draw(noise), draw(noise)))
    return truth, rows


@settings(max_examples=times(quick=200, deep=3000))
@given(replies(), st.booleans())
def test_no_wrong_row_whatever_is_replied(reply, known):
    truth, rows = reply
    try:
        proof = prove([vector for _, vector in rows], [index for index, _ in rows], len(truth), len(truth[0]) if known else None)
    except BadReplyError:
        return
    assert sorted([*proof.positions, *proof.rejected]) == list(range(len(truth)))
    assert np.isfinite(proof.vectors).all()
    # A vector that was replaced by other numbers of the same size cannot be told from a right one; all others are the truth.
    replaced = {
        place
        for place in proof.positions
        for index, vector in rows
        if index == place and vector not in (truth[place], encoded(*truth[place]))
    }
    for vector, place in zip(proof.vectors, proof.positions, strict=True):
        if place not in replaced and len([None for index, _ in rows if index is None]) == 0:
            assert vector.tolist() == truth[place]


@settings(max_examples=times(quick=100, deep=500))
@given(st.recursive(noise, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)))
def test_whatever_json_can_say_is_proven_or_rejected_and_never_an_accident(row):
    try:
        row = orjson.loads(orjson.dumps(row))
    except (TypeError, orjson.JSONEncodeError):
        return
    proof = prove([row], None, 1)
    assert set(proof.positions) | set(proof.rejected) == {0}
