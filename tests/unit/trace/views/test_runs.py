"""The table of recorded runs: where a path does not fit, the file's name stays."""

from __future__ import annotations

from dataclasses import replace

from asyncrun.trace.records import RunRecord
from asyncrun.trace.views.runs import render_runs


def test_a_long_path_loses_its_beginning_and_never_its_name(runs: list[RunRecord]) -> None:
    long = replace(runs[0], job_file="/srv/a/long/way/to/the/folder/of/the/jobs/nightly.yaml")
    head, row = str(render_runs([long], 100, 1_795_486_525.0)).splitlines()
    assert head.endswith("job file")
    assert row.endswith("/jobs/nightly.yaml")
    assert "  …" in row
    assert len(row) <= 100
