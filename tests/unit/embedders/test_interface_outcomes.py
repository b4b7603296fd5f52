"""Answers to parts of a call become the answer to the call, each vector with its own text."""

from dataclasses import replace

import numpy as np
import pytest

from asyncrun.embedders.interface import merge_outcomes, no_vectors, renumber
from asyncrun.records import Embedded, EmbedFailure
from asyncrun.usage import Usage, Waits

NOTHING = Usage()


def answer(*values, places, usage=NOTHING, truncated=()):
    return Embedded(np.array(values, np.float32)[:, None], tuple(places), usage=usage, truncated=frozenset(truncated))


def test_positions_of_a_part_become_those_of_the_whole():
    part = Embedded(np.ones((1, 2), np.float32), (1,), (EmbedFailure(0, "empty", ""),), frozenset({1}))
    whole = renumber(part, [5, 9])
    assert (whole.positions, whole.failures[0].position, whole.truncated) == ((9,), 5, {9})


def test_parts_are_merged_in_the_order_of_the_texts():
    whole = merge_outcomes(
        [
            answer(3, 1, places=[3, 1], usage=Usage(1, 0, 7)),
            no_vectors([EmbedFailure(2, "empty", "")]),
            answer(0, places=[0], truncated=[0]),
        ]
    )
    assert whole.vectors.ravel().tolist() == [0, 1, 3]
    assert (whole.positions, whole.truncated, whole.usage) == ((0, 1, 3), {0}, Usage(1, 0, 7))
    assert [failure.position for failure in whole.failures] == [2]


def test_used_and_waited_add_up():
    part = Embedded(np.ones((1, 1), np.float32), (0,), usage=Usage(1, 1, 5, 0.5), waits=Waits(rate=1.0))
    other = Embedded(np.ones((1, 1), np.float32), (1,), usage=Usage(2, 0, 3, None), waits=Waits(rate=2.0))
    assert merge_outcomes([part, other]).usage == Usage(3, 1, 8, 0.5)
    assert merge_outcomes([part, other]).waits.rate == 3.0


def test_the_workers_of_all_parts_have_made_the_whole():
    parts = [replace(answer(1.0, places=[place]), worker=worker) for place, worker in enumerate(["a", "b", "a", None])]
    assert merge_outcomes(parts).worker == "a, b"
    assert merge_outcomes([*parts[3:], answer(1.0, places=[9])]).worker is None


@pytest.mark.parametrize(
    "parts", [[answer(1, places=[0]), answer(2, places=[0])], [answer(1, places=[0]), no_vectors([EmbedFailure(0, "x", "")])]]
)
def test_two_answers_about_one_text_are_an_error(parts):
    with pytest.raises(ValueError):
        merge_outcomes(parts)


def test_nothing_merges_to_nothing():
    assert merge_outcomes([]).positions == ()
