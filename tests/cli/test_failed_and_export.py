"""`asyncrun failed` and `asyncrun export`: what went wrong, and what is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def partial_run(asyncrun: Command, tmp_path: Path) -> int:
    lines = ['{"id": "a", "text": "one"}', "no json", '{"id": "c", "text": "poison"}', '{"id": "d", "text": "four"}']
    (tmp_path / "notes.jsonl").write_text("\n".join(lines))
    refusal = error(400, "this text is not allowed", when=lambda request: "poison" in request.texts, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        return int(asyncrun("run", "--quiet").code)


def test_failed_items_are_listed_with_place_reason_and_the_servers_words(asyncrun: Command, partial_run: int) -> None:
    assert partial_run == 3
    [document] = asyncrun("failed", "--json").documents
    assert [(item["id"], item["place"], item["reason"]) for item in document["items"]] == [
        ("notes.jsonl#2", "notes.jsonl:2", "bad_record"),
        ("c", "notes.jsonl:3", "refused"),
    ]
    assert "this text is not allowed" in document["items"][1]["message"]
    table = asyncrun("failed")
    assert table.code == 0
    assert "this text is not allowed" in " ".join(table.out.split())


def test_their_ids_make_a_skip_file(asyncrun: Command, partial_run: int, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(asyncrun("failed", "--ids").out)
    config = json.loads((tmp_path / "jobs.yaml").read_text())
    config["jobs"][0]["skip"] = "bad.txt"
    (tmp_path / "jobs.yaml").write_text(json.dumps(config))
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert (answer.documents[-1]["skipped"], answer.documents[-1]["failed"]) == (2, 0)
    assert asyncrun("failed", "--check").code == 0


def test_check_exits_1_while_there_are_failures(asyncrun: Command, partial_run: int) -> None:
    assert asyncrun("failed", "--check", "--quiet").code == 1


def test_a_failure_that_is_mended_leaves_the_list(asyncrun: Command, partial_run: int, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "d", "text": "four"}\n')
    assert asyncrun("run", "--quiet").code == 0
    assert asyncrun("failed", "--json").documents == [{"schema": 1, "items": []}]


def test_export_writes_what_is_done_and_says_what_is_missing(asyncrun: Command, partial_run: int, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").unlink()
    answer = asyncrun("export", "jobs.yaml", "n", "-o", "so-far.jsonl")
    assert answer.code == 3
    assert "2 rows written, 2 missing" in answer.err
    assert [json.loads(line)["id"] for line in (tmp_path / "so-far.jsonl").read_text().splitlines()] == ["a", "d"]
    assert not (tmp_path / "out.jsonl").exists()


def test_export_tells_a_program_what_it_wrote_unless_the_rows_go_there(asyncrun: Command, partial_run: int, tmp_path: Path) -> None:
    assert asyncrun("export", "jobs.yaml", "n", "-o", "so-far.csv", "--json").documents == [{"schema": 1, "rows": 2, "missing": 2}]
    both = asyncrun("export", "jobs.yaml", "n", "-o", "-", "--json")
    assert (both.code, [row["id"] for row in both.documents]) == (3, ["a", "d"])
    assert "2 rows written, 2 missing" in both.err


def test_export_takes_one_job_that_has_rows(asyncrun: Command, partial_run: int, tmp_path: Path) -> None:
    config = json.loads((tmp_path / "jobs.yaml").read_text())
    config["jobs"].append({"name": "fill", "kind": "ingest", "input": "notes.jsonl", "store": {"path": "index.db"}})
    (tmp_path / "jobs.yaml").write_text(json.dumps(config))
    for jobs, told in (([], "export takes one job"), (["n", "fill"], "export takes one job"), (["m"], "no job is named 'm'")):
        answer = asyncrun("export", "jobs.yaml", *jobs, "-o", "x.jsonl")
        assert (answer.code, told in answer.err) == (2, True), answer.err
    answer = asyncrun("export", "jobs.yaml", "fill", "-o", "x.jsonl")
    assert answer.code == 2
    assert "the job fill is of the kind ingest, which has no rows" in answer.err
    assert not (tmp_path / "x.jsonl").exists()


LINE_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
HOSTILE_IDS = [*(f"a{each}b" for each in LINE_BREAKS), " a", "a\t", '"a"', "#a", "", "\ufeffa", "\u202ea", "é 二"]


def test_ids_with_line_breaks_make_a_skip_file_that_leaves_nobody_else_out(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    rows = [{"id": name, "text": "poison"} for name in HOSTILE_IDS] + [{"id": name, "text": "good"} for name in ("a", "b", "fine")]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server.faults.append(error(400, "not allowed", when=lambda request: "poison" in request.texts, times=None))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    assert asyncrun("run", "--quiet").code == 3
    listed = asyncrun("failed", "--ids", "--color", "always").out
    assert "é 二" in listed.splitlines()
    (tmp_path / "bad.txt").write_bytes(listed.encode())
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, "skip": "bad.txt"}]}))
    summary = asyncrun("run", "--json").documents[-1]
    assert (summary["exit_code"], summary["skipped"], summary["ok"]) == (0, len(HOSTILE_IDS), 3)


def test_failed_items_that_a_program_reads_are_a_line_each_with_tabs_between(
    asyncrun: Command, partial_run: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = asyncrun("failed").out.splitlines()
    assert [line.split("\t")[:4] for line in lines] == [
        ["n", "notes.jsonl#2", "notes.jsonl:2", "bad_record"],
        ["n", "c", "notes.jsonl:3", "refused"],
    ]
    assert "this text is not allowed" in lines[1]
