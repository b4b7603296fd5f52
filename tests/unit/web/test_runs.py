"""What is read out of a state folder for a browser: parts of the list, runs that go on, and one run with those before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import UnknownRunError
from asyncrun.trace.store import TraceStore
from asyncrun.web.runs import ROWS, RunReader

from .conftest import STARTED, AddRun, Now


@pytest.fixture
def reader(state: Path, now: Now) -> RunReader:
    return RunReader(state, now)


def test_a_folder_without_a_run_has_an_empty_list_and_is_not_made(reader: RunReader, state: Path) -> None:
    shown = reader.listed(1)
    assert (shown.document["runs"], shown.document["total"], shown.document["pages"], shown.goes_on) == ([], 0, 1, False)
    assert not state.exists()


def test_the_list_comes_in_parts_the_latest_runs_first(reader: RunReader, add_run: AddRun) -> None:
    for number in range(ROWS + 5):
        add_run(f"r{number:03}", started=STARTED + number)
    first, last, past = reader.listed(1).document, reader.listed(2).document, reader.listed(999).document
    assert [run["run_id"] for run in first["runs"]][:2] == [f"r{ROWS + 4:03}", f"r{ROWS + 3:03}"]
    assert (len(first["runs"]), first["first"], first["pages"], first["total"]) == (ROWS, 1, 2, ROWS + 5)
    assert [run["run_id"] for run in last["runs"]] == ["r004", "r003", "r002", "r001", "r000"]
    assert past == last


def test_runs_of_one_job_file_by_whatever_path_it_was_named(reader: RunReader, add_run: AddRun, tmp_path: Path) -> None:
    add_run("a", "jobs.yaml")
    add_run("b", str(tmp_path / "jobs.yaml"))
    add_run("c", "/srv/jobs.yaml")
    add_run("d", None)
    files = reader.listed(1).document["files"]
    assert files == [{"name": "/srv/jobs.yaml", "runs": 1}, {"name": "jobs.yaml", "runs": 2}, {"name": "no job file", "runs": 1}]
    assert [run["run_id"] for run in reader.listed(1, "jobs.yaml").document["runs"]] == ["b", "a"]
    assert [run["run_id"] for run in reader.listed(1, "no job file").document["runs"]] == ["d"]
    assert reader.listed(1, "unheard-of.yaml").document["runs"] == []


def test_a_new_run_counts_at_once(reader: RunReader, add_run: AddRun) -> None:
    add_run("a")
    assert reader.listed(1).document["total"] == 1
    add_run("b", "other.yaml")
    assert (reader.listed(1).document["total"], len(reader.listed(1).document["files"])) == (2, 2)


def test_a_run_that_goes_on_tells_how_far_it_is_until_it_falls_silent(reader: RunReader, add_run: AddRun, now: Now) -> None:
    jobs = [{"name": "a", "total": 8}, {"name": "b", "total": 4}]
    add_run("a", seen=STARTED + 90, items=3, failed=1, share=0.25, cost=0.5, jobs=jobs)
    shown = reader.listed(1)
    [run] = shown.document["runs"]
    assert (run["status"], run["items"], run["total"], run["share"], run["cost"], run["seconds"]) == (
        "running",
        3,
        12,
        0.25,
        "$0.50",
        100.0,
    )
    now.seconds += 60
    later = reader.listed(1)
    [run] = later.document["runs"]
    assert (run["status"], run["seconds"], run["items"]) == ("unfinished", 90.0, 3)
    assert (shown.goes_on, later.goes_on) == (True, False)


def test_one_run_is_compared_with_those_before_it_of_its_job_file(reader: RunReader, add_run: AddRun, tmp_path: Path) -> None:
    add_run("a", "jobs.yaml")
    add_run("x", "other.yaml")
    add_run("b", str(tmp_path / "jobs.yaml"))
    add_run("c", "jobs.yaml")
    shown = reader.run("b")
    assert [(run["run_id"], run["link"]) for run in shown.document["earlier"]] == [("a", "a"), ("b", None)]
    assert (shown.goes_on, shown.document["goes_on"]) == (False, False)


def test_a_run_that_is_not_there_is_said(reader: RunReader, add_run: AddRun) -> None:
    add_run("a")
    with pytest.raises(UnknownRunError):
        reader.run("b")


def test_control_characters_are_written_out(reader: RunReader, add_run: AddRun) -> None:
    add_run("a", "jo\x1b]0;bs.yaml")
    assert "\x1b" not in str(reader.listed(1).document)


def test_the_stamp_changes_with_what_is_written(reader: RunReader, add_run: AddRun, state: Path) -> None:
    before = reader.stamp()
    add_run("a")
    with TraceStore(state / "traces.db") as store:
        open_now = reader.stamp()
        store.write_spans(1, [], seen=STARTED + 5, lost=0)
        assert len({before, open_now, reader.stamp()}) == 3
