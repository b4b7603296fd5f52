"""Own time and unions: numbers that a person will act on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.span_tree import build_forest, outermost_jobs, timings_by_job, timings_by_type, union_seconds, walk

moments = st.integers(0, 50)
intervals = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=12)


@given(intervals)
def test_the_union_counts_every_moment_once(parts: list[tuple[int, int]]) -> None:
    covered = {moment for start, end in parts for moment in range(start, end)}
    assert union_seconds(parts) == len(covered)


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
    [timing] = timings_by_job(build_forest(maker.spans))
    assert (timing.label, timing.count, timing.total, timing.own) == ("notes", 1, 10, 0)
    assert {name: wait for name, wait in timing.waits.items() if wait} == {"rate": 1.75, "request": 0.5}
    by_type = {timing.label: timing for timing in timings_by_type(build_forest(maker.spans))}
    assert (by_type["async_job"].count, by_type["async_job"].waits["rate"]) == (2, 0)
    assert (by_type["embedding"].total, by_type["embedding"].failed, by_type["embedding"].waits["rate"]) == (4, 1, 1.75)


def test_a_job_inside_another_event_counts_as_a_job(maker) -> None:
    query = maker.add("query", 0, 3)
    maker.add("async_job", 0, 1, query, name="one")
    maker.add("async_job", 1, 3, query)
    assert [(timing.label, timing.total) for timing in timings_by_job(build_forest(maker.spans))] == [("one", 1), ("async_job", 2)]


def test_a_child_that_ended_before_its_parent_began_takes_nothing_away(maker) -> None:
    job = maker.add("async_job", 1, 3)
    maker.add("embedding", 0, 0.5, job)
    [node] = build_forest(maker.spans)
    assert node.own_seconds == 2


def folded(maker, parent, start: float, end: float, **attributes: float):
    """Add a span that stands for many; the names are those of `folded.*`."""
    return maker.add("embedding", start, end, parent, **{f"folded__{name}": value for name, value in attributes.items()})


def test_folded_events_count_as_what_they_stand_for(maker) -> None:
    job = maker.add("async_job", 0, 10, name="notes", folded__below=9.5)
    maker.add("embedding", 0, 2, job, status="failed", waits__rate=1.0)
    maker.add("embedding", 1, 2, job)
    folded(maker, job, 1, 9.5, count=98, seconds=49.0, own=49.0, min=0.25, max=1.0, p50=0.5, p95=0.75, failed=3)
    maker.spans[-1].attributes["waits.rate"] = 4.0
    [notes] = timings_by_job(build_forest(maker.spans))
    by_type = {timing.label: timing for timing in timings_by_type(build_forest(maker.spans))}
    embedding = by_type["embedding"]
    assert (embedding.count, embedding.total, embedding.own, embedding.failed) == (100, 52.0, 52.0, 4)
    assert (embedding.percentiles.p50, embedding.percentiles.p95, embedding.percentiles.most) == (0.5, 0.75, 2.0)
    assert notes.waits["rate"] == embedding.waits["rate"] == 5.0
    assert notes.own == 0.5


def test_the_outermost_jobs_are_found_inside_of_other_events(maker) -> None:
    query = maker.add("query", 0, 3)
    job = maker.add("async_job", 0, 2, query, name="outer")
    maker.add("async_job", 0, 1, job, name="inner")
    assert [node.label for node in outermost_jobs(build_forest(maker.spans))] == ["outer"]
