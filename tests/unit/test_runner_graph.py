"""A job starts when what it needs has ended well, and never when that has failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.results import JobResult, Status
from asyncrun.runner import JobNode, blocked, startable


def ended(**statuses: Status) -> dict[str, JobResult]:
    return {name: JobResult(name, "embed", status, 0) for name, status in statuses.items()}


CHAIN = [JobNode("a"), JobNode("b", ("a",)), JobNode("c", ("a", "b"))]


def test_without_needs_all_start() -> None:
    assert [node.name for node in startable([JobNode("a"), JobNode("b")], {}, frozenset())] == ["a", "b"]


def test_a_job_waits_for_all_that_it_needs() -> None:
    assert [node.name for node in startable(CHAIN, ended(a=Status.PARTIAL), frozenset({"a"}))] == ["b"]
    assert startable(CHAIN, {}, frozenset({"a"})) == []


def test_what_needs_a_failed_job_is_blocked_by_it() -> None:
    [(node, need), *_] = blocked(CHAIN, ended(a=Status.FAILED), frozenset({"a"}))
    assert (node.name, need.name) == ("b", "a")


@given(st.lists(st.sampled_from(list(Status)), min_size=3, max_size=3))
def test_no_job_is_both_startable_and_blocked(statuses: list[Status]) -> None:
    known = ended(**dict(zip("abc", statuses, strict=True)))
    for started in (frozenset(), frozenset({"a"}), frozenset({"a", "b"})):
        can = {node.name for node in startable(CHAIN, known, started)}
        cannot = {node.name for node, _ in blocked(CHAIN, known, started)}
        assert not can & cannot
