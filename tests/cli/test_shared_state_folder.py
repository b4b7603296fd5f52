"""A state folder that was chosen may serve job files of one name, from several folders: what is a job file's own stays its own."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def other(notes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a job file of the same name in another folder, and one state folder for both."""
    folder = notes / "other"
    folder.mkdir()
    (folder / "jobs.yaml").write_text((notes / "jobs.yaml").read_text())
    (folder / "notes.jsonl").write_text('{"id": "a", "text": "one secret"}\n')
    with (notes / "notes.jsonl").open("a") as file:
        file.write('{"id": "c", "text": ""}\n')
    monkeypatch.setenv("ASYNCRUN_STATE_DIR", str(notes / "state"))
    return folder


def test_job_files_of_one_name_share_neither_lock_nor_failures(asyncrun: Command, notes: Path, other: Path) -> None:
    assert asyncrun("run").code == 3
    [own] = (notes / "state" / "locks").iterdir()
    with own.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert asyncrun("run", "other/jobs.yaml").code == 0
        assert asyncrun("run", str(other / ".." / "jobs.yaml")).code == 75
    assert asyncrun("failed", "--ids").out == "c\n"
    assert asyncrun("failed", "other/jobs.yaml", "--ids").out == ""


def test_a_run_is_compared_with_one_of_the_job_file_in_its_own_folder(asyncrun: Command, other: Path) -> None:
    for words in ((), (), ("other/jobs.yaml",)):
        asyncrun("run", *words)
    alone = asyncrun("trace", "diff")
    assert alone.code == 2
    assert f"no earlier run of {other / 'jobs.yaml'} is recorded" in alone.err
    asyncrun("run")
    runs = [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]]
    [document] = asyncrun("trace", "diff", "--json").documents
    assert (document["before"], document["after"]) == (runs[1], runs[3])


def test_the_state_folder_beside_a_job_file_knows_it_by_its_bare_name_also_when_it_is_chosen(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("run", "--state-dir", "../" + notes.name + "/.asyncrun").code == 0
    assert [lock.name for lock in (notes / ".asyncrun" / "locks").iterdir()] == ["jobs.yaml.lock"]
