"""What a database answers is ranked again: equal scores by name, and nothing is missed that was not answered at first."""

import numpy as np
import pytest

from asyncrun.errors import SpaceMismatchError
from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.nearest import Answered, Candidate, cosines, question_of, rank_candidates


def database(scores, refused=()):
    """Return a database that answers the best rows first, equal ones as it likes, and how many it was asked for each time."""
    asked = []
    rows = sorted(scores.items(), key=lambda item: (-item[1], item[0][::-1]))

    def ask(count):
        asked.append(count)
        some = rows[:count]
        candidates = [Candidate(score, name, "docs", name) for name, score in some if name not in refused]
        return Answered(candidates, len(some), min((score for _, score in some), default=0.0))

    return ask, asked


def test_of_equal_scores_those_with_the_least_names_are_found_however_the_database_orders_them():
    ask, asked = database({f"{number:02d}": 0.5 for number in range(40)})
    assert [each.chunk_id for each in rank_candidates(ask, 3, 40)] == ["00", "01", "02"]
    assert asked == [4, 8, 16, 32, 40]


def test_the_first_answer_is_enough_where_the_scores_differ():
    ask, asked = database({str(number): number / 10 for number in range(10)})
    assert [each.chunk_id for each in rank_candidates(ask, 3, 10)] == ["9", "8", "7"]
    assert asked == [4]


def test_rows_that_are_no_hits_do_not_take_the_place_of_others():
    ask, _ = database({str(number): number / 10 for number in range(10)}, refused={"9", "8", "7", "6"})
    assert [each.chunk_id for each in rank_candidates(ask, 3, 10)] == ["5", "4", "3"]
    ask, _ = database({"a": 1.0}, refused={"a"})
    assert rank_candidates(ask, 3, 1) == []
    assert rank_candidates(ask, 0, 1) == rank_candidates(ask, 3, 0) == []


def test_a_cosine_with_a_vector_without_length_is_zero():
    vectors = np.array([[3, 4], [0, 0], [0, 5]], dtype=np.float32)
    assert cosines(vectors, np.array([0, 2], dtype=np.float32)) == pytest.approx([0.8, 0, 1])
    assert cosines(vectors, np.zeros(2, dtype=np.float32)) == [0, 0, 0]


def test_a_question_without_a_vector_or_with_one_of_another_size_is_refused():
    with pytest.raises(ValueError, match="a hybrid search needs a vector"):
        question_of(SearchRequest("x", None, "hybrid"), 2)
    with pytest.raises(SpaceMismatchError, match="has 3 dimensions, those of the collection have 2"):
        question_of(SearchRequest("x", np.ones(3, dtype=np.float32)), 2)
