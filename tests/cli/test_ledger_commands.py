"""What is finished can be looked at, taken out, and taken in elsewhere, so that it is not paid for twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def finished(asyncrun: Command, tmp_path: Path, server: FakeServer) -> Path:
    """A folder whose job has run; the ledger is moved away."""
    (tmp_path / "items.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(20)))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 8}}
    jobs = [
        {"name": name, "kind": "embed", "input": "items.jsonl", "output": f"out.{name}", "embedder": embedder}
        for name in ("jsonl", "csv", "npy")
    ]
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))
    assert asyncrun("run").code == 0
    assert asyncrun("ledger", "export", "-o", "portable.jsonl").code == 0
    shutil.move(tmp_path / ".asyncrun", tmp_path / "old")
    return tmp_path


def test_stats_tell_the_size_of_each_space(asyncrun: Command, finished: Path) -> None:
    shutil.move(finished / "old", finished / ".asyncrun")
    [document] = asyncrun("ledger", "stats", "--json").documents
    assert document["schema"] == 1
    [space] = document["spaces"]
    assert (space["vectors"], space["space"]["model"]) == (20, "m")
    assert space["bytes"] == 20 * (16 + 8 * 4 + 1)
    assert "20" in asyncrun("ledger").out


@pytest.mark.parametrize("flags", [[], ["--json"], ["--quiet"]])
def test_what_is_finished_goes_to_standard_output(asyncrun: Command, finished: Path, flags: list[str]) -> None:
    shutil.move(finished / "old", finished / ".asyncrun")
    answer = asyncrun("ledger", "export", "-o", "-", *flags)
    assert answer.code == 0
    assert answer.out == (finished / "portable.jsonl").read_text()
    assert answer.err == ("" if flags == ["--quiet"] else "20 vectors and 0 answers written\n")
    assert not (finished / "-").exists()


@pytest.mark.parametrize("given", [["portable.jsonl"], ["out.jsonl", "--job", "jsonl"], ["out.csv", "--job", "csv"]])
def test_what_is_taken_in_is_not_sent_again(asyncrun: Command, finished: Path, server: FakeServer, given: list[str]) -> None:
    before = (finished / "out.jsonl").read_bytes()
    sent = len(server.requests)
    [document] = asyncrun("ledger", "import", *given, "--json").documents
    assert document == {"schema": 1, "taken": 20, "known": 0}
    assert asyncrun("ledger", "import", *given, "--json").documents == [{"schema": 1, "taken": 0, "known": 20}]
    (finished / "out.jsonl").unlink()
    assert asyncrun("run").code == 0
    assert len(server.requests) == sent
    assert (finished / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ({"id": "1", "text": "a"}, 74, "bad.jsonl:1: no text, or no embedding"),
        ({"id": "1", "text": "a", "embedding": [1.0, None]}, 74, "bad.jsonl:1: no text, or no embedding"),
        ({"id": "1", "text": "a", "embedding": [1e39]}, 74, "bad.jsonl:1: no text, or no embedding"),
        ({"format": "asyncrun-ledger", "version": 4}, 74, "bad.jsonl:1: a portable ledger of the version 4"),
        ([1.0, 2.0], 74, "bad.jsonl:1: not a JSON object but a list"),
    ],
)
def test_what_is_no_vector_is_refused_before_anything_is_taken_in(
    asyncrun: Command, finished: Path, line: Any, code: int, words: str
) -> None:
    (finished / "bad.jsonl").write_text(json.dumps(line) + "\n")
    answer = asyncrun("ledger", "import", "portable.jsonl", "bad.jsonl", "--job", "jsonl")
    assert answer.code == code
    assert words in answer.err
    assert asyncrun("ledger", "stats", "--json").documents[0]["spaces"] == []


def test_a_flipped_byte_of_a_portable_file_is_named(asyncrun: Command, finished: Path) -> None:
    lines = (finished / "portable.jsonl").read_text().splitlines(keepends=True)
    fields = json.loads(lines[2])
    fields["vectors"] = ("A" if fields["vectors"][0] != "A" else "B") + fields["vectors"][1:]
    (finished / "bad.jsonl").write_text(lines[0] + lines[1] + json.dumps(fields) + "\n")
    answer = asyncrun("ledger", "import", "bad.jsonl")
    assert answer.code == 74
    assert "bad.jsonl:3: not a whole batch: it does not fit its checksum" in answer.err


@pytest.mark.parametrize("missing", ["sum", "space", "vectors"])
def test_a_line_of_a_portable_file_that_lacks_a_part_is_named(asyncrun: Command, finished: Path, missing: str) -> None:
    lines = (finished / "portable.jsonl").read_text().splitlines(keepends=True)
    fields = json.loads(lines[1])
    del fields[missing]
    (finished / "bad.jsonl").write_text(lines[0] + json.dumps(fields) + "\n")
    answer = asyncrun("ledger", "import", "bad.jsonl")
    assert answer.code == 74
    assert f"bad.jsonl:2: not a whole batch: it has no {missing!r}" in answer.err


def test_portable_files_may_be_joined(asyncrun: Command, finished: Path) -> None:
    portable = (finished / "portable.jsonl").read_text()
    (finished / "joined.jsonl").write_text(portable + portable)
    assert asyncrun("ledger", "import", "joined.jsonl", "--json").documents == [{"schema": 1, "taken": 20, "known": 20}]
    (finished / "bad.jsonl").write_text(portable + portable.replace('"version":1', '"version":4'))
    answer = asyncrun("ledger", "import", "bad.jsonl")
    assert answer.code == 74
    line = len(portable.splitlines()) + 1
    assert f"bad.jsonl:{line}: a portable ledger of the version 4, this asyncrun reads 1 to 3" in answer.err


def test_of_rows_with_the_same_text_one_is_taken_in(asyncrun: Command, finished: Path) -> None:
    row = (finished / "out.jsonl").read_text().splitlines(keepends=True)[0]
    (finished / "twice.jsonl").write_text(row + row)
    assert asyncrun("ledger", "import", "twice.jsonl", "--job", "jsonl", "--json").documents == [{"schema": 1, "taken": 1, "known": 1}]


def test_a_file_that_is_not_there_is_named_with_what_to_do(asyncrun: Command, finished: Path) -> None:
    answer = asyncrun("ledger", "import", "nowhere.jsonl")
    assert answer.code == 74
    assert answer.err.splitlines() == ["asyncrun: nowhere.jsonl: cannot be read: No such file or directory", "  Correct the path."]


def test_an_output_needs_a_job_that_names_its_space(asyncrun: Command, finished: Path) -> None:
    answer = asyncrun("ledger", "import", "out.jsonl")
    assert answer.code == 2
    assert "--job" in answer.err


def test_vectors_of_another_size_do_not_come_into_a_space(asyncrun: Command, finished: Path) -> None:
    assert asyncrun("ledger", "import", "portable.jsonl").code == 0
    (finished / "bad.jsonl").write_text(json.dumps({"id": "1", "text": "new", "embedding": [1.0, 2.0]}) + "\n")
    assert asyncrun("ledger", "import", "bad.jsonl", "--job", "jsonl").code == 1


def test_an_npy_output_comes_with_its_ids_and_is_made_again_without_them(asyncrun: Command, finished: Path) -> None:
    assert (finished / "out.ids.txt").read_text().splitlines() == [str(n) for n in range(20)]
    shutil.move(finished / "old", finished / ".asyncrun")
    (finished / "out.ids.txt").unlink()
    assert asyncrun("run").code == 0
    assert (finished / "out.ids.txt").exists()


def test_a_parquet_output_is_taken_in_and_read_as_an_input(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    first = {"name": "a", "kind": "embed", "input": {"items": ["one", "two", "three"]}, "output": "a.parquet", "embedder": embedder}
    second = {"name": "b", "kind": "embed", "input": "a.parquet", "output": "b.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [first, second]}))
    assert asyncrun("run").code == 0
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in rows] == [("items#1", "one"), ("items#2", "two"), ("items#3", "three")]
    shutil.rmtree(tmp_path / ".asyncrun")
    server.requests.clear()
    assert asyncrun("ledger", "import", "a.parquet", "--job", "a", "--json").documents == [{"schema": 1, "taken": 3, "known": 0}]
    assert asyncrun("run").code == 0
    assert server.requests == []


def test_the_local_model_has_its_name(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        json.dumps({"jobs": [{"name": "n", "kind": "embed", "input": {"items": ["a text"]}, "output": "out.jsonl"}]})
    )
    assert asyncrun("run").code == 0
    assert "model all-MiniLM-L6-v2 (8199be6f), provider local" in asyncrun("ledger", "stats").out
