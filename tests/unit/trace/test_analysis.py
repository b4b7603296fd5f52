"""Own time, unions and percentiles: numbers that a person will act on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.analysis import build_forest, percentile, timings_by_job, timings_by_type, union_seconds, walk

moments = st.integers(0, 50)
intervals = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=12)


@given(intervals)
def test_the_union_counts_every_moment_once(parts: list[tuple[int, int]]) -> None:
    covered = {moment for start, end in parts for moment in range(start, end)}
    assert union_seconds(parts) == len(covered)


@given(st.lists(st.floats(0, 100), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    ordered = sorted(values)
    value = percentile(ordered, share)
    assert value in ordered
    assert sum(other <= value for other in ordered) >= share * len(ordered) - 1e-9


def test_the_95th_of_20_is_the_19th() -> None:
    assert percentile([float(number) for number in range(1, 21)], 0.95) == 19


def test_own_time_leaves_out_children_once_even_when_they_overlap(maker) -> None:
    job = maker.add("async_job", 0, 10)
    maker.add("embedding", -1, 0, job)
    maker.add("embedding", 1, 4, job)
    maker.add("embedding", 2, 5, job)
    maker.add("embedding", 9, 12, job)
    [node] = build_forest(maker.spans)
    assert (node.seconds, node.own_seconds) == (10, 5)


def test_an_open_span_lasts_to_the_last_known_moment(maker) -> None:
    maker.add("async_job", 0, None)
    maker.add("embedding", 2, 7)
    assert [node.seconds for node in build_forest(maker.spans)] == [7, 5]


def test_a_span_without_its_parent_is_shown_as_outermost(maker) -> None:
    lost = maker.add("async_job", 0, 1)
    maker.add("embedding", 0, 1, lost)
    forest = build_forest(maker.spans[1:])
    assert [node.span.type for node in forest] == ["embedding"]


def test_a_circle_of_parents_loses_no_span(maker) -> None:
    one = maker.add("tree", 0, 1)
    two = maker.add("tree", 0, 1, one)
    maker.spans[0] = type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"parent": two.id})
    assert len(list(walk(build_forest(maker.spans)))) == 2


def test_a_job_sums_up_the_waits_of_all_below_it(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes")
    batch = maker.add("async_job", 0, 10, job)
    maker.add("embedding", 0, 2, batch, waits__rate=1.5, waits__request=0.5)
    maker.add("embedding", 2, 4, batch, waits__rate=0.25, status="failed")
    [timing] = timings_by_job(maker.spans)
    assert (timing.label, timing.count, timing.total, timing.own) == ("notes", 1, 10, 0)
    assert {name: wait for name, wait in timing.waits.items() if wait} == {"rate": 1.75, "request": 0.5}
    by_type = {timing.label: timing for timing in timings_by_type(maker.spans)}
    assert (by_type["async_job"].count, by_type["async_job"].waits["rate"]) == (2, 0)
    assert (by_type["embedding"].total, by_type["embedding"].failed, by_type["embedding"].waits["rate"]) == (4, 1, 1.75)


def test_a_job_inside_another_event_counts_as_a_job(maker) -> None:
    query = maker.add("query", 0, 3)
    maker.add("async_job", 0, 1, query, name="one")
    maker.add("async_job", 1, 3, query)
    assert [(timing.label, timing.total) for timing in timings_by_job(maker.spans)] == [("one", 1), ("async_job", 2)]
