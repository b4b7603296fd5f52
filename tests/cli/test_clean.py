"""`asyncrun clean`: old traces and unused vectors go, everything else stays."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.ledger.connection import open_connection
from asyncrun.process_locks import hold_run_lock
from asyncrun.state_folder import CLAIMS
from asyncrun.testing.server import FakeServer

from .conftest import Command


@pytest.fixture
def write(tmp_path: Path, server: FakeServer) -> Any:
    """Write a job file that embeds with a model."""

    def write(name: str, model: str, **more: Any) -> None:
        embedder = {"provider": "openai", "model": model, "base_url": server.base_url, "dimensions": 256}
        items = [f"text {number}" for number in range(600)]
        job = {"name": "notes", "kind": "embed", "input": {"items": items}, "output": f"{name}.jsonl", "embedder": embedder, **more}
        (tmp_path / name).write_text(json.dumps({"jobs": [job]}))

    return write


def models(folder: Path) -> set[str]:
    with closing(open_connection(folder / ".asyncrun" / "ledger.db")) as connection:
        rows = connection.execute("SELECT DISTINCT description FROM spaces JOIN batches ON batches.space = spaces.id")
        return {json.loads(description)["model"] for (description,) in rows}


def age(folder: Path, seconds: float) -> None:
    """Make all recorded runs older."""
    with closing(sqlite3.connect(folder / ".asyncrun" / "traces.db")) as traces:
        traces.execute("UPDATE runs SET started = started - ?, ended = ended - ?, seen = seen - ?", (seconds,) * 3)
        traces.commit()


def test_vectors_that_no_job_file_uses_go_and_the_file_gets_smaller(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "old")
    write("other.yml", "other")
    for file in ("jobs.yaml", "other.yml"):
        assert asyncrun("run", file).code == 0
    write("jobs.yaml", "new")
    assert asyncrun("run").code == 0
    ledger = tmp_path / ".asyncrun" / "ledger.db"
    before = ledger.stat().st_size
    answer = asyncrun("clean")
    assert answer.code == 0
    assert "removed 1 space that no job file here uses: 600 vectors, " in answer.out
    assert "model old" in answer.out
    assert models(tmp_path) == {"other", "new"}
    assert ledger.stat().st_size < before * 0.8
    assert asyncrun("clean").out == "nothing to remove\n"
    assert asyncrun("run", "--json").documents[-1]["cached"] == 600


def test_vectors_that_a_refresh_made_again_go_and_the_new_ones_stay(
    asyncrun: Command, tmp_path: Path, write: Any, server: FakeServer
) -> None:
    write("jobs.yaml", "m")
    write("other.yaml", "m", input={"items": ["text 1", "another"]}, output="other.jsonl")
    for file in ("jobs.yaml", "other.yaml"):
        assert asyncrun("run", file).code == 0
    assert asyncrun("clean").out == "nothing to remove\n"
    assert asyncrun("run", "jobs.yaml", "notes", "--refresh").code == 0
    (tmp_path / "broken.yaml").write_text("jobs: [{name: x, kind: unheard}]")
    dry = asyncrun("clean", "--dry-run", "--json").documents[0]
    assert (dry["superseded"]["vectors"], dry["spaces"]) == (600, [])
    ledger = tmp_path / ".asyncrun" / "ledger.db"
    before = ledger.stat().st_size
    answer = asyncrun("clean")
    assert "removed 600 vectors that were made again since: " in answer.out
    assert "no space is removed: what broken.yaml uses is not known" in answer.out
    assert ledger.stat().st_size < before * 0.7
    assert asyncrun("clean", "--json").documents[0]["superseded"] == {"vectors": 0, "bytes": 0}
    server.requests.clear()
    for file in ("jobs.yaml", "other.yaml"):
        assert asyncrun("run", file).code == 0
    assert server.requests == []


def test_a_dry_run_says_the_same_and_changes_nothing(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "old")
    for _ in range(3):
        asyncrun("run")
    write("jobs.yaml", "new")
    age(tmp_path, 86400)
    dry = asyncrun("clean", "--older-than", "1h", "--dry-run", "--json").documents[0]
    assert (dry["dry_run"], len(dry["runs"]), [space["vectors"] for space in dry["spaces"]], dry["freed_bytes"]) == (True, 2, [600], 0)
    assert "would remove 2 traces: " in asyncrun("clean", "--older-than", "1h", "--dry-run").out
    assert models(tmp_path) == {"old"}
    done = asyncrun("clean", "--older-than", "1h", "--json").documents[0]
    assert done["freed_bytes"] > 600 * 256 * 4
    assert {**done, "dry_run": True, "freed_bytes": 0} == dry
    assert models(tmp_path) == set()


def test_old_traces_go_by_the_flag_or_by_the_job_file_and_the_latest_stays(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "m")
    for _ in range(3):
        asyncrun("run")
    assert asyncrun("clean").out == "nothing to remove\n"
    age(tmp_path, 31 * 86400)
    kept = [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]]
    assert asyncrun("clean", "--json").documents[0]["runs"] == kept[:2]
    assert [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]] == kept[2:]


@pytest.mark.parametrize(
    "text",
    ["jobs: [{name: notes, kind: embed", "jobs: [{name: x, kind: unheard}]", "jobs: [{name: x, kind: embed, input: '${NOT_SET}'}]"],
    ids=["no YAML", "mistakes", "a variable that is not set"],
)
def test_a_job_file_that_cannot_be_read_keeps_the_whole_ledger(asyncrun: Command, tmp_path: Path, write: Any, text: str) -> None:
    write("jobs.yaml", "old")
    asyncrun("run")
    write("jobs.yaml", "new")
    (tmp_path / "broken.yaml").write_text(text)
    answer = asyncrun("clean")
    assert answer.code == 0
    assert "no space is removed: what broken.yaml uses is not known: " in answer.out
    assert models(tmp_path) == {"old"}


def test_yaml_of_other_programs_does_not_matter(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "old")
    asyncrun("run")
    write("jobs.yaml", "new")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "list.yaml").write_text("- one\n")
    (tmp_path / "empty.yaml").write_text("")
    asyncrun("clean")
    assert models(tmp_path) == set()


def test_a_job_file_of_another_ending_that_has_run_here_counts(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("night.conf", "m")
    assert asyncrun("run", "./night.conf").code == 0
    write("jobs.yaml", "other")
    asyncrun("clean")
    assert models(tmp_path) == {"m"}


def test_a_ledger_of_another_folder_is_left_alone(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "old")
    asyncrun("run", "--state-dir", "state")
    write("jobs.yaml", "new")
    assert "chosen with --state-dir" in asyncrun("clean", "--state-dir", "state").out


def test_what_killed_runs_had_claimed_goes(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "model")
    assert asyncrun("run").code == 0
    left = tmp_path / ".asyncrun" / CLAIMS / "left.texts"
    left.write_bytes(bytes(4096))
    assert asyncrun("clean", "--dry-run").code == 0
    assert left.exists()
    assert asyncrun("clean").code == 0
    assert not left.exists()
    assert asyncrun("run").code == 0


def test_while_a_run_goes_on_nothing_is_removed(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    write("jobs.yaml", "old")
    write("other.yaml", "old")
    asyncrun("run", "other.yaml")
    for file in ("jobs.yaml", "other.yaml"):
        write(file, "new")
    with hold_run_lock(tmp_path / ".asyncrun" / "locks" / "other.yaml.lock", 0.0):
        answer = asyncrun("clean")
        assert (answer.code, "another run of other.yaml is going on" in answer.err) == (75, True)
        assert asyncrun("clean", "--dry-run").code == 0
    assert models(tmp_path) == {"old"}


def test_mistakes_end_2_and_remove_nothing(asyncrun: Command, tmp_path: Path, write: Any) -> None:
    assert asyncrun("clean").code == 2
    write("jobs.yaml", "m")
    assert asyncrun("clean", "nowhere").code == 2
    assert asyncrun("clean", "nowhere.yaml").code == 2
    assert asyncrun("clean", "--older-than", "soon").code == 2
    assert asyncrun("clean").out == "nothing to remove\n"
    assert not (tmp_path / ".asyncrun").exists()
