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


def test_what_the_input_can_say_needs_no_job_file(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "table.dat").write_bytes("key;title;body;lang\n7;Süß;one;de\n8;B;two;en\n".encode("latin-1"))
    reading = (
        "--format",
        "csv",
        "--delimiter",
        ";",
        "--encoding",
        "latin-1",
        "--text",
        "{title}. {body}",
        "--id",
        "key",
        "--metadata",
        "lang, title",
    )
    assert asyncrun("embed", "table.dat", "-o", "v.jsonl", *reading, "--save", "job.yaml").code == 0
    kept = [(row["id"], row["text"], row["metadata"]) for row in rows(tmp_path / "v.jsonl")]
    assert kept == [("7", "Süß. one", {"lang": "de", "title": "Süß"}), ("8", "B. two", {"lang": "en", "title": "B"})]
    assert asyncrun("run", "job.yaml", "--json").documents[-1]["cached"] == 2
    assert '      text: "{title}. {body}"\n' in (tmp_path / "job.yaml").read_text()


def test_a_document_keeps_what_it_says_of_itself_unless_told_otherwise(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: A\nyear: 2026\n---\nText")
    for words, kept in (((), {"title": "A", "year": 2026}), (("--metadata", "year"), {"year": 2026}), (("--metadata", ""), {})):
        assert asyncrun("embed", "a.md", "-o", "v.jsonl", *words).code == 0
        assert [(row["text"], row["metadata"]) for row in rows(tmp_path / "v.jsonl")] == [("Text", kept)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--encoding", "klingon"), "--encoding: the text 'klingon' stands here; allowed: utf-8"),
        (("--format", "cvs"), "--format: unknown format 'cvs'; allowed: auto"),
        (("--delimiter", "ab"), "--delimiter: the text 'ab' stands here; allowed: one character"),
        (("--delimiter", ";"), "--delimiter: jsonl: it is not used"),
        (("--text", "{title"), "--text: not a template '{title'"),
    ],
)
def test_a_mistake_is_told_under_the_name_of_its_flag(asyncrun: Command, notes: Path, words: tuple[str, str], told: str) -> None:
    answer = asyncrun("embed", "notes.jsonl", "-o", "v.jsonl", *words)
    assert answer.code == 2
    assert told in answer.err.replace("\n", " ")
