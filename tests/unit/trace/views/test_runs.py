"""The table of recorded runs: where a path does not fit, the file's name stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.views.runs import render_runs, render_show, render_workers


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


def test_a_run_on_workers_says_what_each_of_them_did_and_which_part_of_it_was_on_the_way(runs: list[RunRecord]) -> None:
    workers = [
        {"name": "node-1 pid\x1b[31m 7", "calls": 1_200, "seconds": 60.0, "ship": 15.0},
        {"name": "node-2 pid 9", "calls": 0, "seconds": 0.0, "ship": 0.0},
    ]
    run = replace(runs[0], summary={"workers": workers, "lost_workers": 2, "lost_calls": 3})
    assert str(render_workers(run, 80)).splitlines() == [
        "worker                calls  seconds  ship  share",
        "node-1 pid\\x1b[31m 7  1,200   1m 00s  15 s    25%",
        "node-2 pid 9              0      0 s   0 s      -",
        "2 workers lost",
    ]
    assert str(render_workers(run, 80)) in str(render_show(run, [], 80, 1_795_486_525.0))


def test_of_many_workers_the_busiest_are_shown_and_the_others_counted(runs: list[RunRecord]) -> None:
    workers = [{"name": f"pid {number}", "calls": 1, "seconds": 1.0, "ship": 0.5} for number in range(50)]
    lines = str(render_workers(replace(runs[0], summary={"workers": workers}), 80)).splitlines()
    assert (len(lines), lines[-1]) == (22, "and 30 more workers, in `asyncrun trace show --json`")


def test_a_run_in_one_process_has_no_table_of_workers(runs: list[RunRecord]) -> None:
    assert str(render_workers(replace(runs[0], summary={"items": 1}), 80)) == ""
