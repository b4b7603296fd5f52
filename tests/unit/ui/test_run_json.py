from __future__ import annotations

import json
from dataclasses import replace

from asyncrun.results import Counts, ExecutorUse, JobResult, RunResult, Status, WorkerUse
from asyncrun.ui.run_json import counters, summary_document
from asyncrun.usage import Usage

COUNTERS = ["items", "ok", "failed", "skipped", "cached", "removed", "truncated", "requests", "retries", "tokens", "cost", "cost_source"]


def job(name: str, status: Status, code: int, counts: Counts, usage: Usage) -> JobResult:
    return JobResult(name, "embed", status, code, counts=counts, usage=usage, seconds=1.25)


def test_the_summary_has_every_promised_name() -> None:
    document = summary_document(RunResult("r1", (job("a", Status.SUCCEEDED, 0, Counts(), Usage()),), 1.0))
    promised = {"type", "schema", "run_id", "status", "exit_code", "seconds", "bound_by", "jobs", *COUNTERS}
    assert promised <= document.keys()
    assert {"name", "kind", "status", "reason", *COUNTERS} <= document["jobs"][0].keys()
    assert json.loads(json.dumps(document)) == document


def test_the_summary_adds_up_its_jobs() -> None:
    jobs = (
        job("a", Status.SUCCEEDED, 0, Counts(ok=3, cached=2, removed=1), Usage(2, 1, 30, 0.5)),
        job("b", Status.PARTIAL, 3, Counts(ok=1, failed=2, skipped=4, truncated=1), Usage(1, 0, 12)),
    )
    document = summary_document(RunResult("r1", jobs, 2.0))
    assert (document["status"], document["exit_code"]) == ("partial", 3)
    assert [document[name] for name in COUNTERS] == [10, 4, 2, 4, 2, 1, 1, 3, 1, 42, 0.5, "price"]


def test_an_unknown_cost_is_null_and_has_no_source() -> None:
    known = counters(Counts(), Usage(cost=0.0))
    unknown = counters(Counts(), Usage())
    assert (known["cost"], known["cost_source"]) == (0.0, "price")
    assert (unknown["cost"], unknown["cost_source"]) == (None, None)


def test_what_bound_the_run_is_null_unless_known() -> None:
    assert summary_document(RunResult("r1", (), 1.0))["bound_by"] is None
    short, long = job("a", Status.SUCCEEDED, 0, Counts(), Usage()), job("b", Status.SUCCEEDED, 0, Counts(), Usage())
    jobs = (replace(short, bound_by="write"), replace(long, seconds=short.seconds + 1, bound_by="tokens_per_minute"))
    document = summary_document(RunResult("r1", jobs, 1.0))
    assert [each["bound_by"] for each in document["jobs"]] == ["write", "tokens_per_minute"]
    assert document["bound_by"] == "tokens_per_minute"


def test_a_run_in_one_process_says_nothing_of_workers() -> None:
    assert not {"workers", "lost_workers", "lost_calls"} & summary_document(RunResult("r1", (), 1.0)).keys()


def test_the_summary_says_what_each_worker_did_and_which_were_lost() -> None:
    use = ExecutorUse((WorkerUse("pid 7", 3, 2.0, 0.5), WorkerUse("pid 8", 1, 0.5, 0.125)), lost_workers=1, lost_calls=2)
    document = summary_document(RunResult("r1", (), 1.0, executor=use))
    assert (document["lost_workers"], document["lost_calls"]) == (1, 2)
    assert document["workers"] == [
        {"name": "pid 7", "calls": 3, "seconds": 2.0, "ship": 0.5},
        {"name": "pid 8", "calls": 1, "seconds": 0.5, "ship": 0.125},
    ]


def test_of_a_thousand_workers_those_that_did_least_are_told_together() -> None:
    use = ExecutorUse(tuple(WorkerUse(f"pid {number}", 2, 1.0, 0.25) for number in range(1000)))
    rows = summary_document(RunResult("r1", (), 1.0, executor=use))["workers"]
    assert (len(rows), rows[-1]["name"], sum(row["calls"] for row in rows)) == (51, "", 2000)
