"""`plan`, `validate`, `trace`, streams and flags."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

import asyncrun as package
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


def test_version(asyncrun: Command) -> None:
    assert asyncrun("--version").out == f"asyncrun {package.__version__}\n"


def test_help_names_every_command(asyncrun: Command) -> None:
    answer = asyncrun("--help")
    assert answer.code == 0
    assert all(f"\n  {command} " in answer.out for command in ("run", "plan", "validate", "trace"))


def test_a_plan_sends_nothing_writes_nothing_and_counts_right(asyncrun: Command, notes: Path, server: FakeServer) -> None:
    before = sorted(notes.iterdir())
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (planned["items"], planned["new"], planned["unchanged"], planned["requests"]) == (2, 2, 0, 1)
    assert server.requests == []
    assert sorted(notes.iterdir()) == before
    assert asyncrun("plan", "--check").code == 1
    asyncrun("run")
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (planned["new"], planned["unchanged"], planned["requests"]) == (0, 2, 0)
    assert asyncrun("plan", "--check").code == 0
    assert set(planned) >= {"name", "items", "new", "changed", "unchanged", "delete", "requests", "tokens", "cost", "seconds", "disk"}


def test_a_plan_needs_no_key(asyncrun: Command, notes: Path) -> None:
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "o.jsonl", "embedder": "openai/text-embedding-3-small"}
    (notes / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    answer = asyncrun("plan")
    assert answer.code == 0
    assert "embed" in answer.out


def test_validate(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("validate").code == 0
    (notes / "jobs.yaml").write_text("jobs: 3")
    assert asyncrun("validate").code == 2


def test_trace_shows_the_latest_run_and_lists_all(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    asyncrun("run")
    listed = asyncrun("trace", "list", "--json").documents[0]
    assert listed["schema"] == 1
    runs = [run["run_id"] for run in listed["runs"]]
    assert len(runs) == 2
    assert {(run["status"], run["exit_code"]) for run in listed["runs"]} == {("succeeded", 0)}
    latest = asyncrun("trace").out
    first = asyncrun("trace", "show", "latest~1").out
    assert "|_async_job notes -> " in latest
    assert "|_embedding" in first
    assert "|_embedding" not in latest
    for run_id in runs:
        assert run_id in latest + first
    shown = asyncrun("--json", "trace", "show", runs[0]).documents[0]
    assert shown["run"]["run_id"] == runs[0]


def test_trace_of_an_unknown_run_and_without_any_run(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("trace").code == 2
    asyncrun("run")
    answer = asyncrun("trace", "show", "20000101")
    assert answer.code == 2
    assert "nearest" in answer.err


def test_json_lines_tell_the_run_and_end_with_the_summary(asyncrun: Command, notes: Path) -> None:
    documents = asyncrun("run", "--json").documents
    assert next(document["type"] for document in documents) == "run_started"
    assert [document["type"] for document in documents][-1] == "summary"
    assert {document["schema"] for document in documents} == {1}
    summary = documents[-1]
    counters = {"items", "ok", "failed", "skipped", "cached", "removed", "truncated", "requests", "retries", "tokens", "cost"}
    assert set(summary) >= counters | {"run_id", "status", "exit_code", "seconds", "cost_source", "bound_by", "jobs"}
    assert set(summary["jobs"][0]) >= counters | {"name", "kind", "status", "reason"}
    assert summary["cost"] is None


def test_quiet_is_silent_on_success(asyncrun: Command, notes: Path) -> None:
    answer = asyncrun("run", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_global_flags_stand_before_or_after_the_command(asyncrun: Command, notes: Path) -> None:
    assert asyncrun("--quiet", "run").out == ""
    assert asyncrun("run", "--quiet").out == ""
    assert asyncrun("--state-dir", "elsewhere", "run").code == 0
    assert (notes / "elsewhere/ledger.db").is_file()


def test_off_a_terminal_there_are_plain_lines(asyncrun: Command, notes: Path) -> None:
    answer = asyncrun("run")
    assert answer.err.splitlines()[-1].startswith("notes: succeeded: 2 ok")
    assert "\x1b" not in answer.out + answer.err


def test_rows_on_standard_output_stay_clean(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for flags in ([], ["--json"]):
        config = json.loads((notes / "jobs.yaml").read_text())
        config["jobs"][0]["output"] = "-"
        (notes / "jobs.yaml").write_text(json.dumps(config))
        stdout = BytesIO()
        monkeypatch.setattr(sys, "stdout", TextIOWrapper(stdout, write_through=True))
        answer = asyncrun("run", *flags)
        assert answer.code == 0
        assert [json.loads(line)["id"] for line in stdout.getvalue().splitlines()] == ["a", "b"]
        assert ("summary" if flags else "Trace:") in answer.err


def test_standard_input_is_an_input(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((notes / "jobs.yaml").read_text())
    config["jobs"][0]["input"] = "-"
    (notes / "jobs.yaml").write_text(json.dumps(config))
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b'{"text": "from stdin"}\n')))
    assert asyncrun("run").code == 0
    [row] = [json.loads(line) for line in (notes / "out.jsonl").read_text().splitlines()]
    assert (row["id"], row["text"]) == ("-#1", "from stdin")


def test_state_is_private(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    state = notes / ".asyncrun"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in state.rglob("*") if file.is_file()} == {0o600}
    assert (state / ".gitignore").read_text() == "*\n"


def test_parquet_has_the_same_rows(asyncrun: Command, notes: Path) -> None:
    import pyarrow.parquet

    asyncrun("run")
    config = json.loads((notes / "jobs.yaml").read_text())
    config["jobs"][0]["output"] = "out.parquet"
    (notes / "jobs.yaml").write_text(json.dumps(config))
    assert asyncrun("run").code == 0
    table = pyarrow.parquet.read_table(notes / "out.parquet").to_pylist()
    expected = [json.loads(line) for line in (notes / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in table] == [(row["id"], row["text"]) for row in expected]
    assert [row["embedding"] for row in table] == [pytest.approx(row["embedding"]) for row in expected]


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["run"], "run jobs.yaml"),
        (["run", "ask"], "run jobs.yaml"),
        (["plan"], "plan jobs.yaml"),
        (["failed"], "failed jobs.yaml"),
        (["retry"], "retry jobs.yaml"),
        (["validate"], "validate jobs.yaml"),
        (["clean"], "clean jobs.yaml"),
        (["export", "ask", "-o", "-"], "export jobs.yaml JOB -o FILE"),
        (["cron", "add", "--at", "@daily"], 'cron add jobs.yaml --at "@daily"'),
        (["cron", "print", "--at", "@daily"], 'cron print jobs.yaml --at "@daily"'),
        (["ledger", "import", "out.jsonl", "--job", "ask"], "ledger import FILE -f jobs.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_without_a_job_file_each_command_says_how_it_is_called_with_one(asyncrun: Command, words: list[str], example: str) -> None:
    answer = asyncrun(*words)
    assert answer.code == 2
    assert "there is no asyncrun.yaml or jobs.yaml in this folder" in answer.err
    assert f"or name it: asyncrun {example}\n" in answer.err
