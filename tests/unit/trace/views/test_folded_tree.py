"""The trace map: LlamaIndex's form, many alike in one line, and what went wrong in words."""

from __future__ import annotations

from asyncrun.trace.views.folded_tree import render_tree


def lines(maker) -> list[str]:
    return str(render_tree(maker.spans, 100)).splitlines()[2:-1]


def test_events_stand_below_their_parents(maker) -> None:
    query = maker.add("query", 0, 2)
    retrieve = maker.add("retrieve", 0, 1, query)
    maker.add("embedding", 0, 0.5, retrieve)
    maker.add("llm", 1, 2, query)
    assert lines(maker) == [
        "    |_query -> 2 s",
        "      |_retrieve -> 1 s",
        "        |_embedding -> 0.5 s",
        "      |_llm -> 1 s",
    ]


def test_eight_alike_are_shown_and_nine_are_folded(maker) -> None:
    for _ in range(8):
        maker.add("embedding", 0, 0.5)
    assert len(lines(maker)) == 8
    maker.add("embedding", 0, 4)
    assert lines(maker) == ["    |_embedding x 9 -> 8 s (p50 0.5 s, p95 4 s, max 4 s)"]


def test_folding_names_the_failed_and_the_unfinished(maker) -> None:
    for _ in range(10):
        maker.add("embedding", 0, 1, name="batch")
    maker.add("embedding", 0, 1, name="batch", status="failed")
    maker.add("embedding", 0, None, name="batch")
    assert lines(maker) == ["    |_embedding batch x 12 -> 12 s (p50 1 s, p95 1 s, max 1 s, 1 failed, 1 unfinished)"]


def test_other_names_are_not_folded_unless_there_are_too_many(maker) -> None:
    for number in range(50):
        maker.add("async_job", 0, 1, name=f"job-{number}")
    assert len(lines(maker)) == 50
    maker.add("async_job", 0, 1, name="one more")
    assert lines(maker) == ["    |_async_job x 51 -> 51 s (p50 1 s, p95 1 s, max 1 s)"]


def test_children_of_the_folded_are_folded_together(maker) -> None:
    for number in range(10):
        job = maker.add("async_job", number, number + 1)
        maker.add("embedding", number, number + 0.5, job)
    assert lines(maker) == [
        "    |_async_job x 10 -> 10 s (p50 1 s, p95 1 s, max 1 s)",
        "      |_embedding x 10 -> 5 s (p50 0.5 s, p95 0.5 s, max 0.5 s)",
    ]


def test_a_status_other_than_success_is_a_word(maker) -> None:
    maker.add("async_job", 0, 1, name="a", status="cancelled")
    maker.add("async_job", 0, None, name="b")
    assert lines(maker) == ["    |_async_job a -> 1 s (cancelled)", "    |_async_job b -> unfinished (1 s so far)"]


def test_names_are_shortened_before_figures(maker) -> None:
    maker.add("async_job", 0, 1, name="a-name-that-is-longer-than-the-terminal")
    assert str(render_tree(maker.spans, 40)).splitlines()[2] == "    |_async_job a-name-that-is-l… -> 1 s"


def test_a_trace_deeper_than_the_recursion_limit_is_rendered(maker) -> None:
    parent = None
    for _ in range(1500):
        parent = maker.add("tree", 0, 1, parent)
    assert len(str(render_tree(maker.spans, 80)).splitlines()) == 1503


def test_a_map_that_may_not_be_long_is_folded_and_then_ends_below_the_jobs(maker) -> None:
    for number in range(20):
        job = maker.add("async_job", 0, 5, name=f"job-{number}")
        for _ in range(5):
            maker.add("attempt", 0, 1, maker.add("embedding", 0, 2, job))

    def at_most(number: int) -> list[str]:
        return str(render_tree(maker.spans, 100, number)).splitlines()[2:-1]

    assert at_most(220) == lines(maker)
    assert at_most(219)[:4] == [
        "    |_async_job job-0 -> 5 s",
        "      |_embedding x 5 -> 10 s (p50 2 s, p95 2 s, max 2 s)",
        "        |_attempt x 5 -> 5 s (p50 1 s, p95 1 s, max 1 s)",
        "    |_async_job job-1 -> 5 s",
    ]
    assert len(at_most(60)) == 60
    assert at_most(59) == [*(f"    |_async_job job-{number} -> 5 s" for number in range(20)), "    what is below them: asyncrun trace"]
