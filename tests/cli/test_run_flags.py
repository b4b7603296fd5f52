"""Flags of `asyncrun run`: how long it may take, what happens when another run goes on, where the summary goes."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncrun.process_locks import hold_folder, hold_run_lock
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def slow_job(tmp_path: Path) -> Iterator[FakeServer]:
    """Twenty texts, one a request, a tenth of a second each."""
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(20)))
    with FakeServer(latency=0.1).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
        job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 1}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        yield server


def give_it_a_longest_time(folder: Path, where: str, time: str) -> list[str]:
    if where == "flag":
        return ["--max-runtime", time]
    config = json.loads((folder / "jobs.yaml").read_text())
    config["jobs"][0]["max_runtime"] = time
    (folder / "jobs.yaml").write_text(json.dumps(config))
    return []


@pytest.mark.parametrize("where", ["flag", "job"])
def test_after_its_longest_time_a_run_stops_cleanly_and_the_next_one_goes_on(
    asyncrun: Command, slow_job: FakeServer, tmp_path: Path, where: str
) -> None:
    first = asyncrun("run", "--json", *give_it_a_longest_time(tmp_path, where, "500ms"))
    assert first.code == 75
    assert first.documents[-1]["status"] == "stopped"
    assert not (tmp_path / "out.jsonl").exists()
    slow_job.latency = 0.0
    assert asyncrun("run", *give_it_a_longest_time(tmp_path, where, "1h")).code == 0
    assert sorted(slow_job.sent_texts) == sorted(f"text {n}" for n in range(20))


def test_the_planned_end_of_a_quiet_run_is_silent(asyncrun: Command, slow_job: FakeServer) -> None:
    answer = asyncrun("run", "--quiet", "--max-runtime", "300ms")
    assert (answer.code, answer.out, answer.err) == (75, "", "")


@contextmanager
def another_run(folder: Path, seconds: float) -> Iterator[None]:
    """Hold the lock in a process of its own, as another run does: until the end, or until so many seconds have passed."""
    lock = folder / ".asyncrun/locks/jobs.yaml.lock"
    lock.parent.mkdir(parents=True)
    read, write = os.pipe()
    over, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        with hold_run_lock(lock, 0.0):
            os.write(write, b"x")
            select.select([over], [], [], seconds)
        os._exit(0)
    os.read(read, 1)
    try:
        yield
    finally:
        os.close(end)
        os.waitpid(child, 0)
        for descriptor in (read, write, over):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("choice", "code", "sends"), [("fail", 75, False), ("skip", 0, False), ("wait=100ms", 75, False), ("wait", 0, True)]
)
def test_when_another_run_goes_on(asyncrun: Command, slow_job: FakeServer, tmp_path: Path, choice: str, code: int, sends: bool) -> None:
    slow_job.latency = 0.0
    with another_run(tmp_path, 0.7 if choice == "wait" else 600):
        answer = asyncrun("run", "--quiet", "--if-running", choice)
    assert answer.code == code
    assert bool(slow_job.requests) == sends


def test_whoever_mends_or_cleans_the_folder_is_not_waited_for_without_end(
    asyncrun: Command, slow_job: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_job.latency = 0.0
    monkeypatch.setattr("asyncrun.app.run.LOCK_TIMEOUT", 0.3)
    (tmp_path / ".asyncrun").mkdir()
    with hold_folder(tmp_path / ".asyncrun"):
        answer = asyncrun("run")
    assert answer.code == 75
    assert "another process holds the folder" in answer.err
    assert slow_job.requests == []
    assert asyncrun("run").code == 0


def test_flags_that_make_no_sense(asyncrun: Command, slow_job: FakeServer) -> None:
    for flags in (["--if-running", "maybe"], ["--if-running", "skip=3s"], ["--max-runtime", "soon"], ["--max-runtime", "0"]):
        assert asyncrun("run", *flags).code == 2
    assert slow_job.requests == []


def test_a_limit_above_every_number_is_no_limit(asyncrun: Command, slow_job: FakeServer) -> None:
    slow_job.latency = 0.0
    answer = asyncrun("run", "--limit", "9" * 20)
    assert answer.code == 0, answer.err
    assert len(slow_job.sent_texts) == 20


def test_the_summary_goes_to_a_file_too(asyncrun: Command, slow_job: FakeServer, tmp_path: Path) -> None:
    slow_job.latency = 0.0
    assert asyncrun("run", "--summary-file", "deep/summary.json").code == 0
    summary = json.loads((tmp_path / "deep/summary.json").read_text())
    assert (summary["type"], summary["ok"], summary["exit_code"]) == ("summary", 20, 0)


@pytest.mark.parametrize(("flags", "named"), [((), 1), (("-v",), 12)])
def test_a_verbose_run_names_every_failed_item_and_says_what_begins(
    asyncrun: Command, tmp_path: Path, flags: tuple[str, ...], named: int
) -> None:
    job = {"name": "n", "kind": "embed", "input": {"items": ["one", *[""] * 12]}, "output": "out.jsonl", "max_failures": "99%"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, "embedder": {"provider": "local", "on_empty": "fail"}}]}))
    answer = asyncrun("run", *flags)
    assert answer.code == 3
    assert answer.err.count(" failed (") == named
    assert ("n: begins, 13 items" in answer.err) is bool(flags)
    assert "Next: `asyncrun failed jobs.yaml` lists what failed, and what helps.\n" in answer.out
    listed = asyncrun("failed", "jobs.yaml")
    assert "What helps:\n  empty: write a text, set `on_empty: skip`" in listed.err
    assert "helps" not in listed.out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--rebuild", "--limit", "1"], "--rebuild and --limit do not go together"),
        (["--executor", "rya"], "--executor rya: no such executor; did you mean 'ray'?"),
        (["--max-runtime", "soon"], "--max-runtime soon: not a time"),
        (["--max-delete", "some"], "--max-delete some: neither a count nor a percentage"),
        (["--if-running", "maybe"], "--if-running takes fail, skip or wait[=TIME], not 'maybe'"),
        (["--state-dir", ""], "Invalid value for '--state-dir': no path is given"),
    ],
)
def test_a_flag_that_cannot_be_followed_is_told_in_one_sentence(
    asyncrun: Command, slow_job: FakeServer, flags: list[str], told: str
) -> None:
    answer = asyncrun("run", *flags)
    assert (answer.code, answer.out) == (2, "")
    sentence, hint = answer.err.splitlines()
    assert sentence == f"asyncrun: {told}"
    assert hint.strip()
    assert slow_job.requests == []


def test_the_environment_names_an_executor_and_a_flag_goes_before(
    asyncrun: Command, slow_job: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_job.latency = 0.0
    monkeypatch.setenv("ASYNCRUN_EXECUTOR", "elsewhere")
    assert asyncrun("run").code == 2
    assert asyncrun("run", "--executor", "local").code == 0
