"""`asyncrun embed`: an embed job without a job file, and one that is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n')
    return tmp_path


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_files_become_vectors_and_nothing_is_done_twice(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("embed", "notes.jsonl", "-o", "out/vectors.jsonl").code == 0
    assert [(row["id"], len(row["embedding"])) for row in rows(notes / "out/vectors.jsonl")] == [("a", 384), ("b", 384)]
    assert (notes / ".asyncrun/ledger.db").is_file()
    assert sorted(path.name for path in notes.iterdir()) == [".asyncrun", "notes.jsonl", "out"]
    again = asyncrun("embed", "notes.jsonl", "-o", "out/vectors.jsonl", "--json").documents[-1]
    assert (again["ok"], again["cached"], again["requests"]) == (2, 2, 0)


def test_the_same_job_as_a_file_gives_the_same_rows(asyncrun: Command, notes: Path) -> None:
    asyncrun("embed", "notes.jsonl", "-o", "vectors.jsonl")
    (notes / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: notes.jsonl, output: other.jsonl}]\n")
    assert asyncrun("run", "--json").documents[-1]["cached"] == 2
    assert (notes / "other.jsonl").read_bytes() == (notes / "vectors.jsonl").read_bytes()


def test_standard_input_to_standard_output(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO((notes / "notes.jsonl").read_bytes())))
    stdout = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(stdout, write_through=True))
    assert asyncrun("embed", "-", "-o", "-").code == 0
    assert [json.loads(line)["id"] for line in stdout.getvalue().splitlines()] == ["a", "b"]


def test_several_files_as_a_shell_spells_a_glob_out(asyncrun: Command, notes: Path) -> None:
    (notes / "more.jsonl").write_text('{"id": "c", "text": "three"}\n')
    assert asyncrun("embed", "notes.jsonl", "more.jsonl", "-o", "v.jsonl").code == 0
    assert sorted(row["id"] for row in rows(notes / "v.jsonl")) == ["a", "b", "c"]


def test_the_kept_job_file_runs_from_its_own_folder_and_is_never_written_over(asyncrun: Command, notes: Path) -> None:
    words = ("embed", "notes.jsonl", "-o", "cost ${HOME}/v.jsonl", "--save", "nightly/job.yaml")
    assert asyncrun(*words).code == 0
    kept = (notes / "nightly/job.yaml").read_text()
    assert len(rows(notes / "cost ${HOME}/v.jsonl")) == 2
    again = asyncrun("run", "nightly/job.yaml", "--json").documents[-1]
    assert (again["ok"], again["cached"]) == (2, 2)
    assert asyncrun(*words).code == 0
    other = asyncrun("embed", "notes.jsonl", "-o", "v.jsonl", "--save", "nightly/job.yaml")
    assert other.code == 73
    assert "nightly/job.yaml" in other.err
    assert not (notes / "v.jsonl").exists()
    assert (notes / "nightly/job.yaml").read_text() == kept


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nope.jsonl", "-o", "v.jsonl"), "INPUT: 'nope.jsonl': no such file; did you mean 'notes.jsonl'?"),
        (("notes.jsonl", "-o", "v.xyz"), "--output: "),
        (("notes.jsonl", "-o", "v.jsonl", "-e", "opnai/m"), "--embedder: unknown provider"),
        (("notes.jsonl", "-o", "v.jsonl", "-e", "openai"), "--embedder"),
        (("notes.jsonl", "-o", "notes.jsonl"), "--output: the output is an input of this job"),
        (("notes.jsonl",), "--output"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_call(asyncrun: Command, notes: Path, words: tuple[str, ...], told: str) -> None:
    before = (notes / "notes.jsonl").read_bytes()
    answer = asyncrun("embed", *words, "--save", "job.yaml")
    assert answer.code == 2
    assert told in answer.err
    assert "jobs[0]" not in answer.err
    assert sorted(path.name for path in notes.iterdir()) == ["notes.jsonl"]
    assert (notes / "notes.jsonl").read_bytes() == before


def test_the_embedder_of_every_call_can_be_a_setting(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCRUN_EMBEDDER", "opnai/m")
    assert asyncrun("embed", "notes.jsonl", "-o", "v.jsonl").code == 2
    assert asyncrun("embed", "notes.jsonl", "-o", "v.jsonl", "-e", "local").code == 0
