from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asyncrun.jobfile.field_types import IN_JOB_FILE
from asyncrun.jobfile.input_output import InputConfig
from asyncrun.jobfile.output_checks import find_collision, locate, protect_input, protect_parts
from asyncrun.jobs import EmbedJob, IngestJob, QueryJob


@pytest.mark.parametrize(
    ("name", "held"),
    [("a/1.md", True), ("b/hard.md", True), ("a/new.md", True), ("a/out.md", False), ("b/left-out", False), ("b/1.md", False)],
)
def test_an_input_is_what_its_globs_take_and_not_what_it_leaves_out(tmp_path: Path, name: str, held: bool) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
    for file in ("a/1.md", "a/out.md", "b/1.md"):
        (tmp_path / file).write_text(file)
    (tmp_path / "b/hard.md").hardlink_to(tmp_path / "a/1.md")
    (tmp_path / "b/left-out").hardlink_to(tmp_path / "a/out.md")
    given = InputConfig.model_validate({"path": ["a/*.md", "gone/*.md", "-"], "exclude": "out.md"})
    assert (find_collision([locate(tmp_path / name)], [protect_input("it", given, tmp_path)]) == "it") == held


def job_of(model: Any, **given: Any) -> Any:
    return model.model_validate({"name": "j", "input": "i.jsonl", **given}, context=IN_JOB_FILE)


@pytest.mark.parametrize(
    ("job", "name", "what"),
    [
        (job_of(EmbedJob, kind="embed", output="o.jsonl", skip="s.txt"), "s.txt", "the skip file of the job j"),
        (job_of(QueryJob, kind="query", output="o.jsonl", prompt={"path": "p.txt"}), "p.txt", "the prompt of the job j"),
        (job_of(IngestJob, kind="ingest"), "index.db-journal", "the store of the job j"),
        (job_of(IngestJob, kind="ingest", store={"type": "lancedb", "path": "lance"}), "lance/x/y", "the store of the job j"),
        (job_of(IngestJob, kind="ingest", store={"type": "pgvector"}), "index.db", None),
        (
            job_of(EmbedJob, kind="embed", output="o.jsonl", embedder={"provider": "tei", "tokenizer": "t.json"}),
            "t.json",
            "the embedder's tokenizer of the job j",
        ),
    ],
    ids=["skip", "prompt", "database", "folder", "address", "tokenizer"],
)
def test_what_a_job_reads_and_keeps_beside_its_input_is_named(tmp_path: Path, job: Any, name: str, what: str | None) -> None:
    assert find_collision([locate(tmp_path / name)], list(protect_parts(job, "j", tmp_path))) == what
