"""A deadline is kept: batches are waited for as long as what is left can still be done online."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.jobfile.units import Deadline
from asyncrun.jobs.delivery.deadline import CANCELLING, Step, choose, due_at, last_moment

BERLIN = ZoneInfo("Europe/Berlin")
SIX = Deadline(at=time(6))
DAY = 86_400.0

moments = st.floats(0.0, 4e9)
spans = st.floats(0.0, 1e6)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("begun", "due"),
    [
        ("2026-03-01 22:00", "2026-03-02 06:00"),
        ("2026-03-01 05:59", "2026-03-01 06:00"),
        ("2026-03-01 06:00", "2026-03-02 06:00"),
        ("2026-12-31 23:00", "2027-01-01 06:00"),
        ("2026-03-28 22:00", "2026-03-29 06:00"),  # seven hours later: the clocks go forward
        ("2026-10-24 22:00", "2026-10-25 06:00"),  # nine hours later
    ],
)
def test_six_in_the_morning_is_the_next_one_on_the_clock_of_the_wall(begun, due):
    assert due_at(SIX, at(begun), BERLIN) == at(due)


def test_the_night_of_a_change_is_shorter_or_longer():
    assert at("2026-03-29 06:00") - at("2026-03-28 22:00") == 7 * 3600
    assert at("2026-10-25 06:00") - at("2026-10-24 22:00") == 9 * 3600


def test_a_time_that_the_clocks_leave_out_is_an_hour_later_and_a_double_one_the_first():
    half_past_two = Deadline(at=time(2, 30))
    assert due_at(half_past_two, at("2026-03-29 00:00"), BERLIN) == at("2026-03-29 03:30")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0).timestamp()
    assert due_at(half_past_two, at("2026-10-25 00:00"), BERLIN) == first
    # Begun between the two, it is the day after: the first has passed.
    assert due_at(half_past_two, first + 60, BERLIN) == at("2026-10-26 02:30")


def test_a_duration_counts_from_the_beginning():
    assert due_at(Deadline(seconds=8 * 3600.0), at("2026-03-28 22:00"), BERLIN) == at("2026-03-29 07:00")


@given(moments, st.times(), st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia"), None]))
def test_a_time_of_day_lies_after_the_beginning_and_within_two_days(begun, clock, zone):
    due = due_at(Deadline(at=clock.replace(microsecond=0, fold=0)), begun, zone)
    assert begun < due <= begun + 2 * DAY + 7200


@given(moments, moments, spans, st.none() | spans, st.booleans())
def test_what_is_left_when_waiting_ends_is_done_in_time(now, due, window, rest, waiting):
    choice = choose(now, due, window=window, rest=rest, waiting=waiting)
    if choice.step is not Step.ONLINE:
        assert choice.until is not None
        assert now < choice.until
        assert choice.until + CANCELLING + (rest or 0.0) <= due + 1e-3
    if choice.step is Step.WAIT:
        assert waiting


@given(moments, st.floats(0.0, 1e6), moments, spans, st.none() | spans, st.booleans())
def test_once_it_is_too_late_it_stays_so(now, later, due, window, rest, waiting):
    if choose(now, due, window=window, rest=rest, waiting=waiting).step is Step.ONLINE:
        assert choose(now + later, due, window=window, rest=rest, waiting=waiting).step is Step.ONLINE


@given(moments, spans, spans)
def test_the_less_is_left_the_longer_one_can_wait(due, less, more):
    less, more = sorted((less, more))
    assert last_moment(due, less) >= last_moment(due, more)


@given(moments, spans, st.none() | spans, st.booleans())
def test_without_a_deadline_it_is_batches_only(now, window, rest, waiting):
    choice = choose(now, None, window=window, rest=rest, waiting=waiting)
    assert (choice.step, choice.until) == (Step.SUBMIT, None)


def test_a_batch_is_not_begun_when_its_provider_would_hardly_look_at_it():
    """Of a day at most half an hour is left: no other batch; what waits is waited for."""
    told = {waiting: choose(0.0, 3600.0, window=DAY, rest=960.0, waiting=waiting) for waiting in (True, False)}
    assert {waiting: choice.step for waiting, choice in told.items()} == {True: Step.WAIT, False: Step.ONLINE}
    assert choose(0.0, 8 * 3600.0, window=DAY, rest=960.0, waiting=False).step is Step.SUBMIT
