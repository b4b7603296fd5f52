"""The table of recorded runs: where a path does not fit, the file's name stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.views.runs import render_runs


def test_a_long_path_loses_its_beginning_and_never_its_name(runs: list[RunRecord]) -> None:
    long = replace(runs[0], job_file="/srv/a/long/way/to/the/folder/of/the/jobs/nightly.yaml")
    head, row = str(render_runs([long], 110, 1_795_486_525.0)).splitlines()
    assert head.endswith("job file")
    assert row.endswith("/jobs/nightly.yaml")
    assert "  …" in row
    assert len(row) <= 110


def test_a_run_says_when_it_began_by_the_clock_on_the_wall_and_what_it_did_and_cost(runs: list[RunRecord]) -> None:
    run = replace(runs[0], started=1_795_486_525.0, summary={"items": 12_345, "cost": 0.0123}, job_file="jobs.yaml")
    head, row = str(render_runs([run], 120, 1_795_486_525.0, timezone(timedelta(hours=2)))).splitlines()
    assert head.split() == ["run", "status", "exit", "time", "items", "cost", "started", "job", "file"]
    assert row.split()[-5:] == ["12,345", "$0.0123", "2026-11-24", "04:15:25", "jobs.yaml"]
    assert str(render_runs([replace(run, summary={})], 120, 1_795_486_525.0)).splitlines()[1].split()[-5:-3] == ["-", "-"]
