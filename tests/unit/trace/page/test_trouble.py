"""What went wrong: reasons of jobs, and what failed by its reason."""

from __future__ import annotations

from asyncrun.trace.page.trouble import MOST_GROUPS, endings, failed_groups
from asyncrun.trace.run_record import RunRecord, Span
from tests.unit.trace.conftest import SpanMaker

FAILED = "`asyncrun failed` lists what failed, and what helps."


def run_with(**summary: object) -> RunRecord:
    return RunRecord("r", 0.0, summary=summary)


def test_each_job_that_did_not_succeed_says_why_and_what_to_do() -> None:
    jobs = [
        {"name": "a", "status": "succeeded", "reason": None},
        {"name": "b", "status": "partial", "reason": None, "items": 1000, "failed": 3},
        {"name": "c", "status": "stopped", "reason": "the endpoint is down"},
        {"name": "d", "status": "cancelled", "reason": None},
    ]
    assert endings(run_with(jobs=jobs, hints={"c": "Run again later."})) == [
        {"job": "b", "status": "partial", "reason": "3 of 1,000 items failed, no more than max_failures allows", "hint": FAILED},
        {"job": "c", "status": "stopped", "reason": "the endpoint is down", "hint": "Run again later."},
        {"job": "d", "status": "cancelled", "reason": "no reason is recorded", "hint": ""},
    ]


def test_items_come_first_by_their_number_then_events_then_attempts_that_were_made_good(trying: list[Span]) -> None:
    failures = [
        {"job": "embed-notes", "reason": "empty", "count": 2, "places": ["a:1", "a:9"], "messages": ["the text is empty"]},
        {
            "job": "embed-notes",
            "reason": "bad_record",
            "count": 40,
            "places": ["a:3"],
            "messages": ["no field 'text'"],
            "advice": "Mend it.",
        },
    ]
    found = failed_groups(run_with(failures=failures), trying)
    assert [(group["what"], group["job"], group["reason"], group["count"]) for group in found] == [
        ("item", "embed-notes", "bad_record", 40),
        ("item", "embed-notes", "empty", 2),
        ("attempt", "embed-notes", "throttle", 4),
        ("attempt", "embed-notes", "transient", 4),
    ]
    assert (found[1]["places"], found[1]["words"]) == (["a:1", "a:9"], ["the text is empty"])
    assert [group["advice"] for group in found] == ["Mend it.", "", "", ""]
    assert found[2]["words"] == ["slow down"]
    # An attempt that failed for the reason of the items was theirs.
    throttled = {"job": "embed-notes", "reason": "throttle", "count": 2, "places": [], "messages": []}
    assert [group["what"] for group in failed_groups(run_with(failures=[throttled]), trying)] == ["item", "attempt"]


def test_folded_attempts_count_and_an_event_says_where_it_failed(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 9, name="notes", status="failed")
    maker.add("embedding", 0, 1, job, status="failed", error__type="AuthError", error__message="no such key")
    batch = maker.add("embedding", 1, 9, job)
    maker.add("attempt", 1, 9, batch, name="transient", folded__count=500, folded__failed=120, folded__seconds=8.0)
    event, attempts = failed_groups(run_with(), maker.spans)
    assert (event["what"], event["job"], event["places"], event["words"]) == ("event", "notes", ["embedding"], ["no such key"])
    assert (attempts["reason"], attempts["count"]) == ("transient", 120)


def test_events_that_differ_in_numbers_are_one_and_what_a_job_says_of_its_end_is_not_told_again(maker: SpanMaker) -> None:
    job = maker.add("async_job", 0, 9, name="notes", status="failed")
    for number in range(3):
        words = f"the budget is reached: the next call needs ${number}"
        maker.add("embedding", number, 9, job, status="failed", error__type="BudgetError", error__message=words)
    maker.add("embedding", 1, 9, job, status="failed", error__type="AuthError", error__message="no such key")
    run = run_with(jobs=[{"name": "notes", "status": "failed", "reason": "no such key"}])
    [budget] = failed_groups(run, maker.spans)
    assert (budget["reason"], budget["count"], budget["places"]) == ("BudgetError", 3, ["embedding"])


def test_three_thousand_reasons_are_shown_as_far_as_a_person_reads() -> None:
    failures = [{"job": "a", "reason": f"reason {number}", "count": 33, "places": [], "messages": []} for number in range(3000)]
    found = failed_groups(run_with(failures=failures), [])
    assert len(found) == MOST_GROUPS + 1
    assert found[-1]["count"] == 33 * (3000 - MOST_GROUPS)
    assert "2,800 more reasons" in found[-1]["words"][0]
