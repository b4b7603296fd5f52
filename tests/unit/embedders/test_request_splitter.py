"""Every text of a call ends with an answer or a reason, whatever comes back, and a refusal is followed by few and smaller requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.retry import FailureClass as F
from asyncrun.embedders.request_splitter import FIRST_ITEMS, Capacity, Part, Splitter
from asyncrun.endpoints.classify import Verdict
from asyncrun.packing import BatchLimits

NOTHING_KNOWN = Capacity()
verdicts = st.builds(Verdict, st.sampled_from(F), st.just("words"), st.none() | st.integers(0, 20), st.none() | st.integers(0, 20))


def refused(sizes, verdict, *, together=False, since=0, successes=1):
    """Refuse all texts at once; return why texts fail, and the parts that come next."""
    splitter = Splitter(sizes, together=together)
    part = splitter.take(NOTHING_KNOWN, proven=True, successes=since)
    assert part.positions == tuple(range(len(sizes)))
    failed = splitter.failed(part, verdict, successes=successes)
    return failed, parts_left(splitter)


def parts_left(splitter, capacity=NOTHING_KNOWN):
    parts = []
    while splitter.left:
        parts.append(list(splitter.take(capacity, proven=True, successes=9).positions))
    return parts


@given(verdicts, st.integers(1, 20))
def test_no_text_is_lost(verdict, count):
    failed, parts = refused([9] * count, verdict)
    assert sorted([*failed, *(position for part in parts for position in part)]) == list(range(count))
    assert all(len(part) < count for part in parts)


@given(st.data(), st.integers(1, 12))
def test_every_text_ends_whatever_comes_back(data, count):
    splitter, ended, successes, proven = Splitter([9] * count), [], 0, False
    for _ in range(500):
        if not splitter.left:
            break
        part = splitter.take(NOTHING_KNOWN, proven=proven, successes=successes)
        assert len(part.positions) <= (count if proven else FIRST_ITEMS)
        if data.draw(st.booleans()):
            proven, successes = True, successes + 1
            rejected = data.draw(st.sets(st.integers(1, len(part.positions) - 1))) if len(part.positions) > 1 else set()
            failed = splitter.answered(part, sorted(rejected), successes=successes)
            ended += [position for index, position in enumerate(part.positions) if index not in rejected]
        else:
            failed = splitter.failed(part, data.draw(verdicts), successes=successes)
        ended += [part.positions[index] for index in failed]
        assert len(set(ended)) == len(ended)
    else:
        # Refused again and again while nothing succeeds: it is the circuit that ends this.
        return
    assert sorted(ended) == list(range(count))


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
    assert refused([9], Verdict(failure, "")) == ({0: reason}, [])


def test_the_named_text_fails_at_once_and_the_others_stay_together():
    failed, parts = refused([9] * 96, Verdict(F.TOO_LONG, "", blamed_index=22))
    assert failed == {22: "too_long"}
    assert [len(part) for part in parts] == [95]


def test_the_learned_cap_is_the_size_of_the_parts():
    assert [len(part) for part in refused([9] * 64, Verdict(F.TOO_BIG, "", cap=32))[1]] == [32, 32]


def test_when_the_text_that_is_too_long_is_not_named_the_shorter_ones_go_apart_from_the_longer_ones():
    assert refused([5, 900, 3, 800], Verdict(F.TOO_LONG, ""))[1] == [[2, 0], [3, 1]]


def test_texts_that_stay_together_fail_together_and_are_never_divided():
    assert refused([9] * 3, Verdict(F.TOO_LONG, "", blamed_index=1), together=True) == ({0: "too_long", 1: "too_long", 2: "too_long"}, [])
    splitter = Splitter([9] * 3, together=True)
    part = splitter.take(Capacity(BatchLimits(max_items=1)), proven=False, successes=0)
    assert part.positions == (0, 1, 2)
    assert splitter.answered(part, [1], successes=1) == {1: "bad_response"}
    assert not splitter.left


def test_while_nothing_else_succeeds_a_fault_of_the_server_is_waited_out_behind_the_other_texts():
    splitter = Splitter([9] * 4)
    first = splitter.take(Capacity(BatchLimits(max_items=2)), proven=True, successes=5)
    assert splitter.failed(first, Verdict(F.TRANSIENT, ""), successes=5) == {}
    assert splitter.take(NOTHING_KNOWN, proven=True, successes=6).positions == (2, 3)
    again = splitter.take(NOTHING_KNOWN, proven=True, successes=6)
    assert again == first
    # Another request has succeeded meanwhile: the fault is in these.
    assert splitter.failed(again, Verdict(F.TRANSIENT, ""), successes=6) == {}
    assert parts_left(splitter) == [[0], [1]]


def test_a_few_texts_go_first_until_the_server_has_answered_and_then_as_much_as_it_takes():
    splitter = Splitter([10] * 9)
    assert splitter.take(NOTHING_KNOWN, proven=False, successes=0).positions == (0, 1)
    assert parts_left(splitter, Capacity(BatchLimits(max_items=128, max_bytes=30))) == [[2, 3, 4], [5, 6, 7], [8]]


def test_some_texts_of_a_call_alone_are_sent_by_their_places():
    splitter = Splitter([9] * 6, [1, 4])
    part = splitter.take(NOTHING_KNOWN, proven=True, successes=0)
    assert (part, splitter.sizes_of(part)) == (Part((1, 4), 0), [9, 9])
    assert not Splitter([9], []).left


def test_after_a_request_that_was_too_big_less_is_sent_at_once():
    half = Capacity().after(Verdict(F.TOO_BIG, ""), [50, 50])
    assert half.limits.max_bytes == 50
    assert Capacity().after(Verdict(F.TOO_BIG, "", share=0.8), [50, 50]).limits.max_bytes == 76
    assert half.after(Verdict(F.TOO_BIG, ""), [500, 500]).limits.max_bytes == 50
    assert Capacity().after(Verdict(F.TOO_BIG, ""), [50]) == Capacity()


def test_after_a_request_that_took_too_long_no_less_is_sent_than_was_answered_in_time():
    assert Capacity(answered=80).after(Verdict(F.TOO_SLOW, ""), [50, 50]).limits.max_bytes == 80
    assert Capacity(answered=20).after(Verdict(F.TOO_SLOW, ""), [50, 50]).limits.max_bytes == 50
