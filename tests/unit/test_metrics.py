"""What is measured of a run, and that Prometheus' own parser reads it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from asyncrun.metrics import METRICS, Metric, RunEnd, render_prometheus, run_metrics
from asyncrun.results import Counts, JobResult, Status
from asyncrun.usage import Usage, Waits

FILE = "/srv/jobs.yaml"
NOTES = JobResult(
    "notes",
    "embed",
    Status.PARTIAL,
    3,
    counts=Counts(items=6, ok=3, failed=2, skipped=1, cached=1),
    usage=Usage(requests=4, retries=1, tokens=120, cost=0.25),
    seconds=1.5,
    waits=Waits(rate=0.5, request=2.0),
    failed_by={"too_long": 1, "my plugin's": 1},
)
DOCS = JobResult("docs", "ingest", Status.SUCCEEDED, 0, counts=Counts(items=2, ok=2), seconds=1.0)


def written(*jobs: JobResult, now: float = 1000.5, code: int = 0, former: str = "", seconds: float | None = 2.0) -> str:
    return render_prometheus(run_metrics(RunEnd(FILE, ["notes", "docs"], now, code, seconds, jobs), former))


def read(text: str) -> dict[tuple[str, ...], float]:
    """Return the values by name and the labels' values, without the job file's."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("job_file") == FILE
            key = (sample.name.removeprefix("asyncrun_"), *labels.values())
            assert key not in found
            found[key] = sample.value
    return found


def test_a_run_is_measured_job_by_job() -> None:
    found = read(written(NOTES, code=3))
    assert found["run_timestamp_seconds",] == 1000.5
    assert found["run_exit_code",] == 3
    assert found["run_duration_seconds",] == 2
    of = {name[0]: value for name, value in found.items() if name[1:] == ("notes", "embed")}
    assert of == {
        "job_timestamp_seconds": 1000.5,
        "job_duration_seconds": 1.5,
        "job_exit_code": 3,
        "job_cached_items": 1,
        "job_requests": 4,
        "job_retries": 1,
        "job_tokens": 120,
        "job_cost_dollars": 0.25,
    }
    by = {name[0::3]: value for name, value in found.items() if len(name) == 4 and value}
    assert by == {
        ("job_status", "partial"): 1,
        ("job_items", "ok"): 3,
        ("job_items", "failed"): 2,
        ("job_items", "skipped"): 1,
        ("job_failed_items", "too_long"): 1,
        ("job_failed_items", "my plugin's"): 1,
        ("job_wait_seconds", "rate"): 0.5,
        ("job_wait_seconds", "request"): 2.0,
    }
    assert found["job_wait_seconds", "notes", "embed", "backoff"] == 0


def test_a_cost_that_is_not_known_is_left_out() -> None:
    assert "cost" not in written(DOCS)


def test_the_last_success_stays_through_runs_that_fail() -> None:
    good = written(DOCS, now=1000.0)
    bad = written(JobResult("docs", "ingest", Status.FAILED, 1), now=2000.0, code=1, former=good)
    found = read(bad)
    assert found["job_timestamp_seconds", "docs", "ingest"] == 2000
    assert found["job_success_timestamp_seconds", "docs", "ingest"] == found["run_success_timestamp_seconds",] == 1000
    assert read(written(DOCS, now=3000.0, former=bad))["job_success_timestamp_seconds", "docs", "ingest"] == 3000


def test_a_job_that_has_not_run_keeps_its_figures_unless_it_has_left_the_file() -> None:
    both = written(NOTES, DOCS, now=1000.0, code=3)
    alone = read(written(DOCS, now=2000.0, former=both))
    assert alone["job_items", "notes", "embed", "failed"] == 2
    assert alone["job_timestamp_seconds", "notes", "embed"] == 1000
    left = render_prometheus(run_metrics(RunEnd(FILE, ["docs"], 2000.0, 0, 1.0, [DOCS]), both))
    assert "notes" not in left


def test_a_run_that_ended_before_it_began_changes_its_own_figures_alone() -> None:
    before = written(NOTES, now=1000.0, code=3)
    after = read(written(former=before, now=2000.0, code=74, seconds=None))
    assert (after["run_exit_code",], after["run_timestamp_seconds",]) == (74, 2000)
    assert ("run_duration_seconds",) not in after
    assert after["job_timestamp_seconds", "notes", "embed"] == 1000


@pytest.mark.parametrize("former", ["a,b\n1,2\n", 'asyncrun_job_tokens{job_file="/srv/jobs.yaml",job_name="notes"} many\n', "\0" * 100])
def test_what_somebody_else_has_written_is_not_kept(former: str) -> None:
    assert written(DOCS, former=former) == written(DOCS)


def test_figures_of_another_job_file_are_not_kept() -> None:
    assert "other.yaml" not in written(DOCS, former=written(NOTES).replace(FILE, "/srv/other.yaml"))


@given(st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_labels_are_escaped_and_read_back(name: str, reason: str, value: float) -> None:
    labels = (("job_name", name.replace("\r", "")), ("reason", reason.replace("\r", "")))
    text = render_prometheus([Metric("asyncrun.job.cost", "USD", "Cost.", {labels: value})])
    [family] = text_string_to_metric_families(text)
    assert [(sample.labels, sample.value) for sample in family.samples] == [(dict(labels), value)]


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_a_file_and_a_job_are_called_their_figures_are_kept(file: str, name: str) -> None:
    jobs: Sequence[JobResult] = [JobResult(name, "embed", Status.SUCCEEDED, 0)]
    former = render_prometheus(run_metrics(RunEnd(file, [name], 1000.0, 0, 1.0, jobs)))
    [*_, now] = [
        metric.values
        for metric in run_metrics(RunEnd(file, [name], 2000.0, 1, 1.0, ()), former)
        if metric.name == "asyncrun.job.success.timestamp"
    ]
    assert list(now.values()) == [1000.0]
    list(text_string_to_metric_families(former))


def test_every_metric_is_written_and_has_a_name_as_prometheus_wants_it() -> None:
    names = {Metric(name, unit, "").prometheus_name for name, (unit, _) in METRICS.items()}
    assert names == {family.name for family in text_string_to_metric_families(written(NOTES, DOCS))}
