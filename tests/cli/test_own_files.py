"""A glob for files of any kind takes what the user wrote, and nothing that belongs to the job file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

JOB_FILE = """
metrics: run.txt
embedders:
  far: {provider: openai, model: m, api_key: {file: key.txt}}
stores:
  docs: {path: store.txt}
jobs:
  - {name: notes, kind: embed, input: "PATTERN", output: out/notes.csv, skip: skip.txt}
  - {name: pairs, kind: embed, input: a.md, output: pairs.npy}
  - {name: fill, kind: ingest, input: "PATTERN", store: docs, collection: c}
  - {name: far, kind: embed, input: a.md, output: far.jsonl, embedder: far}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.md", "docs/b.txt", "skip.txt", "key.txt", "run.txt", "store.txt-wal"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"words of {name}" if name != "store.txt-wal" else "")
    (tmp_path / "skip.txt").write_text("nobody")
    (tmp_path / "store.txt-wal").unlink()
    return tmp_path


def write(folder: Path, pattern: str = "**/*") -> None:
    (folder / "jobs.yaml").write_text(JOB_FILE.replace("PATTERN", pattern))


def ids(path: Path) -> set[str]:
    return {line.split(",")[0] for line in path.read_text().splitlines()[1:]}


def test_a_glob_takes_nothing_of_the_job_file_itself(asyncrun: Command, folder: Path) -> None:
    write(folder)
    for _ in range(2):
        answer = asyncrun("run", "jobs.yaml", "notes", "fill", "pairs", "--json")
        assert answer.code == 0, answer.err
        assert ids(folder / "out/notes.csv") == {"a.md", "docs/b.txt"}
    assert asyncrun("run", "jobs.yaml", "notes", "--limit", "1").code == 0
    assert (folder / "out/notes.limit-1.csv").exists()
    plan = json.loads(asyncrun("plan", "jobs.yaml", "notes", "fill", "--json").out)
    assert [(job["name"], job["items"], job["unchanged"]) for job in plan["jobs"]] == [("notes", 2, 2), ("fill", 2, 2)]


def test_a_glob_below_takes_what_another_job_writes_there(asyncrun: Command, folder: Path) -> None:
    jobs = "{name: first, kind: embed, input: a.md, output: out/a.jsonl}, {name: next, kind: embed, input: out/*, output: out/b.jsonl}"
    (folder / "jobs.yaml").write_text(f"jobs: [{jobs}]")
    for _ in range(2):
        answer = asyncrun("run", "jobs.yaml", "next")
        assert answer.code == 0, answer.err
        assert [json.loads(line)["id"] for line in (folder / "out/b.jsonl").read_text().splitlines()] == ["a.md"]


def test_a_folder_behind_a_link_is_the_same_folder(asyncrun: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder)
    link = folder.parent / "link"
    link.symlink_to(folder)
    monkeypatch.chdir(link)
    for _ in range(2):
        assert asyncrun("run", "jobs.yaml", "notes", "--no-needs").code == 0
    assert ids(folder / "out/notes.csv") == {"a.md", "docs/b.txt"}


def test_where_nothing_else_matches_no_file_matches(asyncrun: Command, folder: Path) -> None:
    write(folder, "*.yaml")
    answer = asyncrun("plan", "jobs.yaml", "notes")
    assert (answer.code, "no file matches" in answer.err) == (2, True)


@pytest.mark.parametrize("path", ["jobs.yaml", "out/notes.csv"])
def test_what_is_named_is_a_mistake_or_an_input_as_before(asyncrun: Command, folder: Path, path: str) -> None:
    write(folder, path)
    (folder / "out").mkdir()
    (folder / "out/notes.csv").write_text("id,text\n1,one\n")
    answer = asyncrun("validate", "jobs.yaml")
    assert (answer.code, "an input cannot be an output" in answer.err) == ((2, True) if path.endswith("csv") else (0, False))


def test_what_a_flag_names_is_still_refused_where_a_glob_takes_it(asyncrun: Command, folder: Path) -> None:
    write(folder)
    for words in (["--log-file", "docs/b.txt"], ["--output", "docs/new.csv"]):
        answer = asyncrun("run", "jobs.yaml", "notes", *words)
        assert (answer.code, "an input of the job" in answer.err) == (2, True)
    assert (folder / "docs/b.txt").read_text() == "words of docs/b.txt"


def test_embed_may_write_beside_all_that_it_reads(asyncrun: Command, folder: Path) -> None:
    for name in ("skip.txt", "key.txt", "run.txt", "store.txt"):
        (folder / name).unlink(missing_ok=True)
    for _ in range(2):
        answer = asyncrun("embed", "**/*", "-o", "vectors.csv")
        assert answer.code == 0, answer.err
        assert ids(folder / "vectors.csv") == {"a.md", "docs/b.txt"}
