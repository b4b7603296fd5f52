from __future__ import annotations

import pytest

from asyncrun.results import JobPlan
from asyncrun.ui.plan_table import render_plan


def test_a_plan_says_what_each_job_would_do_and_marks_estimates() -> None:
    plan = JobPlan("notes", "embed", 1200, 1000, changed=50, unchanged=150, requests=9, tokens=34000, cost=0.00068, seconds=84.0)
    other = JobPlan("ask", "query", 3, 3, notes=("no tokenizer: [safe] bound",))
    head, row, _, note = render_plan([plan, other], 160).splitlines()
    assert " ".join(head.split()) == "JOB KIND ITEMS NEW CHANGED UNCHANGED DELETE FAILED SKIPPED REQUESTS TOKENS COST TIME"
    assert " ".join(row.split()) == "notes embed 1,200 1,000 50 150 0 0 0 9 ~34,000 ~$0.00068 ~1m 24s"
    assert note == "ask: no tokenizer: [safe] bound"


def test_tokens_that_are_counted_are_not_marked_and_the_disk_is_named() -> None:
    plan = JobPlan("notes", "embed", 12, 12, requests=1, tokens=340, exact=True, disk=1_500_000)
    _, row, note = render_plan([plan], 160).splitlines()
    assert " 340 " in row
    assert note == "notes: needs about 1.5 MB of disk"


@pytest.mark.parametrize(("cost", "said"), [(None, "unknown"), (0.0, "~$0.00"), (1234.5, "~$1,234.50")])
def test_a_cost_that_is_not_known_is_not_zero(cost: float | None, said: str) -> None:
    assert said in render_plan([JobPlan("a", "embed", 1, 1, cost=cost)], 160)


def test_a_plan_that_is_wider_than_the_terminal_loses_empty_columns_and_never_a_job() -> None:
    plans = [JobPlan(name, "embed", 1234, 4, requests=12, tokens=90) for name in ("notes", "letters")]
    assert render_plan(plans, 120).splitlines()[0].split() == [
        *("JOB", "KIND", "ITEMS", "NEW", "CHANGED", "UNCHANGED", "DELETE", "FAILED", "SKIPPED", "REQUESTS", "TOKENS", "COST", "TIME")
    ]
    head, *rows = render_plan(plans, 80).splitlines()
    assert head.split() == ["JOB", "KIND", "ITEMS", "NEW", "UNCHANGED", "REQUESTS", "TOKENS", "COST", "TIME"]
    assert [row.split()[0] for row in rows] == ["notes", "letters"]
    narrow = render_plan([*plans, JobPlan("third", "embed", 5, 0, failed=2)], 40)
    assert max(map(len, narrow.splitlines())) <= 40
    words = " ".join(narrow.split())
    assert "notes (embed): items 1,234, new 4, unchanged 0, requests 12, tokens ~90, cost unknown, time unknown letters" in words
    assert "third (embed): items 5, new 0, unchanged 0, failed 2," in words
