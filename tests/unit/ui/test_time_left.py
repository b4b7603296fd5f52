"""The time left, with a clock that is set by hand: texts of very different lengths, in orders that are bad for an estimate."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.ui.time_left import Workload
from asyncrun.usage import Load

SHOWN = 0.02
"""Share of the whole time within which an estimate counts as right: at the end, a factor says nothing of use."""
ORDERS: dict[str, Callable[[list[int]], object]] = {
    "long ones first": lambda sizes: sizes.sort(reverse=True),
    "long ones last": list[int].sort,
    "mixed": lambda sizes: random.Random(2).shuffle(sizes),
}


@dataclass(frozen=True)
class Call:
    load: Load
    began: float
    ended: float
    waited: float = 0.0


def batches(order: str, items: int = 32, size: int = 60_000) -> Iterator[Load]:
    """A corpus of mostly short texts, packed as a job packs it."""
    rng = random.Random(1)
    sizes = [rng.randint(50, 400) for _ in range(1900)] + [rng.randint(8_000, 20_000) for _ in range(100)]
    ORDERS[order](sizes)
    left = iter(sizes)
    while batch := list(islice(left, items)):
        while sum(batch) > size:
            left = iter([batch.pop(), *left])
        yield Load(len(batch), sum(batch))


def played(
    loads: Sequence[Load], workers: int, seconds: Callable[[Load], float], line: Callable[[Load], float] = lambda _: 0.0
) -> list[Call]:
    """So many calls at a time, each as long as its load is worked on, after it has passed a line that all stand in."""
    free, passed, calls = [0.0] * workers, 0.0, []
    for load in loads:
        began = heapq.heappop(free)
        passed = max(passed, began) + line(load) if line(load) else began
        calls.append(Call(load, began, passed + seconds(load), passed - began))
        heapq.heappush(free, calls[-1].ended)
    return calls


def worst(calls: Sequence[Call]) -> float:
    """Return by which factor the time left is wrong at most, from a fifth of the time on; where none is known yet, none is wrong."""
    whole = max(call.ended for call in calls)
    events = sorted([(call.began, 1, call) for call in calls] + [(call.ended, 0, call) for call in calls], key=lambda event: event[:2])
    work, found = Workload(0.0, sum((call.load for call in calls), Load())), 1.0
    for percent in range(1, 100):
        now = whole * percent / 100
        while events and events[0][0] <= now:
            at, begins, call = events.pop(0)
            work = work.send(call.load, at) if begins else work.receive(call.load, at, call.waited)
        said, true = work.seconds_left(now), whole - now
        if percent >= 20 and said is not None and abs(said - true) > SHOWN * whole:
            found = max(found, said / true, true / max(said, 1e-9))
    return found


@pytest.mark.parametrize("workers", [1, 2, 4, 16, 64])
@pytest.mark.parametrize("order", ORDERS)
def test_it_is_within_a_factor_of_two_where_a_call_takes_as_long_as_its_tokens(order: str, workers: int) -> None:
    assert worst(played(list(batches(order)), workers, lambda load: load.size * 1e-4)) <= 2


@pytest.mark.parametrize("workers", [1, 4, 64])
@pytest.mark.parametrize("order", ORDERS)
def test_it_is_within_a_factor_of_two_where_a_limit_of_tokens_sets_the_pace(order: str, workers: int) -> None:
    limited = played(list(batches(order)), workers, lambda load: 0.1 + load.size * 1e-5, line=lambda load: load.size * 2e-4)
    assert worst(limited) <= 2


@pytest.mark.parametrize("workers", [1, 4])
def test_what_a_text_costs_beside_its_tokens_is_learned(workers: int) -> None:
    calls = played(list(batches("mixed")), workers, lambda load: load.texts * 0.02 + load.size * 1e-5)
    assert worst(calls) <= 1.5


def test_nothing_is_said_before_the_first_answer_and_after_the_last() -> None:
    work = Workload(0.0, Load(2, 20)).send(Load(1, 10), 0.0)
    assert work.seconds_left(5.0) is None
    work = work.receive(Load(1, 10), 10.0, 0.0)
    assert work.seconds_left(10.0) == pytest.approx(10.0)
    assert work.send(Load(1, 10), 10.0).receive(Load(1, 10), 20.0, 0.0).seconds_left(20.0) is None


def test_a_call_without_an_answer_is_still_to_be_sent() -> None:
    work = Workload(0.0, Load(2, 20)).send(Load(2, 20), 0.0).receive(Load(2, 20), 5.0, None)
    assert (work.left, work.share, work.under_way) == (Load(2, 20), 0.0, ())


def test_the_last_call_takes_its_own_time_however_fast_many_were_at_once() -> None:
    work = Workload(0.0, Load(11, 2_000))
    for _ in range(10):
        work = work.send(Load(1, 100), 0.0)
    for _ in range(10):
        work = work.receive(Load(1, 100), 1.0, 0.0)
    assert work.send(Load(1, 1_000), 1.0).seconds_left(1.0) == pytest.approx(10.0)


def test_what_is_found_to_be_there_already_shortens_the_rest_and_is_no_speed() -> None:
    work = Workload(0.0, Load(4, 40)).send(Load(1, 10), 0.0).receive(Load(1, 10), 10.0, 0.0)
    assert work.seconds_left(10.0) == pytest.approx(30.0)
    assert work.expect(Load(1, 10)).seconds_left(10.0) == pytest.approx(10.0)


loads = st.builds(Load, st.integers(1, 500), st.integers(0, 10**7))


@given(st.lists(st.tuples(loads, st.floats(0, 1e4), st.one_of(st.none(), st.floats(0, 1e5))), max_size=20), loads, st.floats(0, 1e6))
def test_it_is_never_below_nothing(calls: list[tuple[Load, float, float | None]], left: Load, later: float) -> None:
    work = Workload(0.0, left)
    for load, seconds, waited in calls:
        work = work.send(load, 0.0).receive(load, seconds, waited)
    said = work.send(left, 0.0).seconds_left(later)
    assert said is None or said >= 0
    assert 0 <= work.share <= 1
