"""Flags of `asyncrun run` that run a part of a job file or take other files: --limit, --from, --input, --output, --fail-fast."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.jobs.items import Items
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


def write_lines(path: Path, *texts: str) -> None:
    path.write_text("".join(json.dumps({"id": f"{path.stem}-{number}", "text": text}) + "\n" for number, text in enumerate(texts)))


def write_jobs(folder: Path, *jobs: dict[str, Any]) -> None:
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def ids_of(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer) -> Path:
    """`first` embeds six notes, `second` what `first` has written, `other` stands alone."""
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    write_lines(tmp_path / "notes.jsonl", *(f"note {number}" for number in range(6)))
    write_lines(tmp_path / "more.jsonl", "more")
    write_jobs(
        tmp_path,
        {"name": "first", "kind": "embed", "input": "notes.jsonl", "output": "out/first.jsonl", "embedder": embedder},
        {"name": "second", "kind": "embed", "input": "out/first.jsonl", "output": "out/second.jsonl", "embedder": embedder},
        {"name": "other", "kind": "embed", "input": "more.jsonl", "output": "out/other.jsonl", "embedder": embedder},
    )
    return tmp_path


def test_the_first_items_go_to_outputs_of_their_own_and_count_as_done(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    assert asyncrun("run", "jobs.yaml", "second", "--limit", "2").code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["first.limit-2.jsonl", "second.limit-2.jsonl"]
    assert ids_of(folder / "out/second.limit-2.jsonl") == ["notes-0", "notes-1"]
    assert sorted(server.sent_texts) == ["note 0", "note 1"]
    server.requests.clear()
    assert asyncrun("run", "jobs.yaml", "first").code == 0
    assert sorted(server.sent_texts) == ["note 2", "note 3", "note 4", "note 5"]


def test_failures_beyond_the_first_items_stay_on_the_list(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    write_lines(folder / "notes.jsonl", "one", "two", "poison")
    server.faults.append(error(400, "not allowed", when=lambda request: "poison" in request.texts, times=None))
    assert asyncrun("run", "jobs.yaml", "first", "--quiet").code == 3
    assert asyncrun("run", "jobs.yaml", "first", "--limit", "2", "--quiet").code == 0
    assert asyncrun("failed", "--ids").out.split() == ["notes-2"]


def test_the_first_documents_fill_no_store_and_remove_nothing_from_it(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"docs/{name}.md").write_text(f"The text of {name}.")
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    store = {"type": "sqlite", "path": "index.db"}
    write_jobs(tmp_path, {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": store, "prune": True})
    assert asyncrun("run", "--limit", "1").code == 0
    assert server.sent_texts == ["The text of a."]
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (planned["new"], planned["requests"]) == (3, 1)
    assert asyncrun("run").code == 0
    assert sorted(server.sent_texts) == ["The text of a.", "The text of b.", "The text of c."]
    assert asyncrun("run", "--limit", "1", "--json").documents[-1]["removed"] == 0
    assert asyncrun("plan", "--json").documents[0]["jobs"][0]["unchanged"] == 3


@pytest.mark.parametrize("part", [{"output": "out/second.parquet"}, {"input": "rows.parquet"}])
def test_what_is_not_installed_for_a_later_job_is_said_before_the_first_one_sends(
    asyncrun: Command, folder: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, part: dict[str, str]
) -> None:
    for name in ("asyncrun.writers.parquet", "asyncrun.readers.parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (folder / "rows.parquet").write_bytes(b"PAR1")
    jobs = json.loads((folder / "jobs.yaml").read_text())["jobs"]
    write_jobs(folder, jobs[0], {**jobs[1], "needs": ["first"], **part})
    answer = asyncrun("run")
    assert (answer.code, server.requests) == (2, [])
    assert f"jobs[1].{next(iter(part))}: parquet needs the extra 'parquet', which is not installed" in answer.err
    assert "pip install 'asyncrun[parquet]'" in answer.err


def test_from_a_job_on(asyncrun: Command, folder: Path) -> None:
    assert asyncrun("run", "--quiet").code == 0
    summary = asyncrun("run", "--from", "second", "--json").documents[-1]
    assert [job["name"] for job in summary["jobs"]] == ["second"]
    summary = asyncrun("run", "--from", "first", "--json").documents[-1]
    assert [job["name"] for job in summary["jobs"]] == ["first", "second"]
    assert asyncrun("run", "--from", "third").code == 2
    answer = asyncrun("run", "jobs.yaml", "other", "--from", "first")
    assert answer.code == 2
    assert "none of the named jobs needs first" in answer.err


def test_another_input_and_another_output_for_one_job(
    asyncrun: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, server: FakeServer
) -> None:
    (folder / "notes.jsonl").unlink()
    (folder / "elsewhere").mkdir()
    write_lines(folder / "elsewhere/mine.jsonl", "my own")
    monkeypatch.chdir(folder / "elsewhere")
    assert asyncrun("run", "../jobs.yaml", "first", "--input", "mine.jsonl", "--output", "mine.out.jsonl").code == 0
    assert ids_of(folder / "elsewhere/mine.out.jsonl") == ["mine-0"]
    assert not (folder / "out").exists()
    answer = asyncrun("run", "../jobs.yaml", "first", "--input", "mine.jsonl", "--output", "-")
    assert [json.loads(line)["id"] for line in answer.out.splitlines()] == ["mine-0"]
    assert server.sent_texts == ["my own"]


def test_an_input_or_an_output_needs_one_job(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    assert asyncrun("run", "--input", "more.jsonl").code == 2
    assert asyncrun("run", "jobs.yaml", "first", "other", "--output", "x.jsonl").code == 2
    assert asyncrun("run", "jobs.yaml", "other", "--output", "x.doc").code == 2
    assert asyncrun("run", "jobs.yaml", "other", "--input", "missing.jsonl").code == 74
    assert server.requests == []


def test_fail_fast_lets_nothing_fail_and_stops_the_other_jobs(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    write_lines(folder / "notes.jsonl", "poison", "one")
    server.faults.append(error(400, "not allowed", when=lambda request: "poison" in request.texts, times=None))
    assert asyncrun("run", "jobs.yaml", "first", "--quiet").code == 3
    answer = asyncrun("run", "jobs.yaml", "second", "--fail-fast", "--json")
    assert answer.code == 1
    assert {job["name"]: job["status"] for job in answer.documents[-1]["jobs"]} == {"first": "failed", "second": "cancelled"}


def test_the_log_file_gets_every_run_with_its_times(asyncrun: Command, folder: Path) -> None:
    for _ in range(2):
        assert asyncrun("run", "jobs.yaml", "other", "--quiet", "--log-file", "logs/run.log").code == 0
    lines = (folder / "logs/run.log").read_text().splitlines()
    assert [line.split(maxsplit=1)[1].split(",")[-1] for line in lines if "exit code" in line] == [" exit code 0"] * 2
    assert all(line[:2] == "20" and line[10] == "T" for line in lines)
    assert asyncrun("run", "jobs.yaml", "other", "--log-file", ".").code == 73


def test_a_grant_to_delete_holds_for_one_run(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(5):
        (tmp_path / f"docs/{number}.md").write_text(f"Text {number}.")
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    store = {"type": "sqlite", "path": "index.db"}
    write_jobs(tmp_path, {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": store, "prune": True})
    assert asyncrun("run", "--quiet").code == 0
    for number in range(3):
        (tmp_path / f"docs/{number}.md").unlink()
    assert asyncrun("plan", "--json").documents[0]["jobs"][0]["delete"] == 3
    assert asyncrun("run", "--quiet").code == 1
    assert asyncrun("run", "--max-delete", "2").code == 1
    assert asyncrun("run", "--max-delete", "60%", "--json").documents[-1]["removed"] == 3
    assert asyncrun("run", "--max-delete", "many").code == 2


def test_what_another_job_has_finished_since_this_one_looked_is_not_sent_again(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Items.prepare

    def late(items: Items, *arguments: Any) -> Any:
        deadline = time.monotonic() + 60
        while items.context.name == "late" and not (tmp_path / "early.jsonl").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return prepare(items, *arguments)

    monkeypatch.setattr(Items, "prepare", late)
    write_lines(tmp_path / "notes.jsonl", *(f"note {number}" for number in range(6)))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    jobs = (
        {"name": name, "kind": "embed", "input": "notes.jsonl", "output": f"{name}.jsonl", "embedder": embedder}
        for name in ("early", "late")
    )
    write_jobs(tmp_path, *jobs)
    summary = asyncrun("run", "--json").documents[-1]
    assert (summary["items"], summary["ok"], summary["cached"]) == (12, 12, 6)
    assert len(server.sent_texts) == 6
