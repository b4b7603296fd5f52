"""After a refusal every text either fails with a reason or is sent again, and batches only get smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.retry import FailureClass as F
from asyncrun.embedders.aftermath import aftermath
from asyncrun.endpoints.classify import Verdict

verdicts = st.builds(Verdict, st.sampled_from(F), st.just("words"), st.none() | st.integers(0, 20), st.none() | st.integers(0, 20))


@given(verdicts, st.integers(1, 20))
def test_no_text_is_lost(verdict, count):
    after = aftermath(verdict, [9] * count)
    assert sorted([*after.failed, *(place for part in after.parts for place in part)]) == list(range(count))
    assert all(len(part) < count for part in after.parts)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (F.TOO_LONG, "too_long"),
        (F.TOO_BIG, "too_long"),
        (F.BAD_RESPONSE, "bad_response"),
        (F.TRANSIENT, "server_error"),
        (F.ITEM, "refused"),
        (F.UNKNOWN, "refused"),
    ],
)
def test_a_text_alone_fails_with_the_reason(failure, reason):
    assert aftermath(Verdict(failure, ""), [9]).failed == {0: reason}


def test_the_named_text_fails_at_once_and_the_others_stay_together():
    after = aftermath(Verdict(F.TOO_LONG, "", guilty=22), [9] * 96)
    assert after.failed == {22: "too_long"}
    assert [len(part) for part in after.parts] == [95]


def test_the_learned_cap_is_the_size_of_the_parts():
    assert [len(part) for part in aftermath(Verdict(F.TOO_BIG, "", cap=32), [9] * 64).parts] == [32, 32]


def test_when_the_text_that_is_too_long_is_not_named_the_shorter_ones_go_apart_from_the_longer_ones():
    assert aftermath(Verdict(F.TOO_LONG, ""), [5, 900, 3, 800]).parts == [[2, 0], [3, 1]]
