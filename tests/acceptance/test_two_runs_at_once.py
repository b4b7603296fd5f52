"""Runs of several job files over the same texts at once: a text is sent by one of them, and a run that ends, however, is no hindrance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncrun.state_folder import CLAIMS, STATE_FOLDER
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line
from tests.depth import DEEP, cases

from .conftest import finish, summary_of, wait_until

ITEMS, BATCH, IN_FLIGHT, QUESTIONS = 600, 10, 4, 60
TEXTS = [f"text {number}" for number in range(ITEMS)]
ROWS = b"".join(json_line({"id": str(n), "embedding": vector_of(text, 8), "text": text, "metadata": {}}) for n, text in enumerate(TEXTS))
LEAVES: dict[str, dict[str, Any]] = {"a budget": {"budget": {"tokens": 600}}, "max runtime": {"max_runtime": "2s"}}
"""What ends a run before its end, as options of its job."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(latency=0.05).in_thread() as running:
        yield running


def job_file(folder: Path, name: str, server: FakeServer, key: str = "none", **options: Any) -> str:
    """Write a job file over the texts of the folder; its output goes by its name."""
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    embedder = {
        "provider": "openai",
        "model": "m",
        "base_url": server.base_url,
        "api_key": key,
        "batch": {"max_items": BATCH},
        "limits": {"concurrency": IN_FLIGHT},
    }
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": f"{name}.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / f"{name}.yaml").write_text(json.dumps({"jobs": [job | options]}))
    return f"{name}.yaml"


@contextmanager
def runs(folder: Path, *files: str | Sequence[str]) -> Iterator[list[subprocess.Popen[str]]]:
    """Start runs of job files, with options; none is left."""
    commands = [[file] if isinstance(file, str) else file for file in files]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-m", "asyncrun", "run", "--json", *each], cwd=folder, **pipes) for each in commands]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def wait_for_texts(server: FakeServer, number: int, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: len(server.sent_texts) >= number, process)


@contextmanager
def second_waits(
    folder: Path, server: FakeServer, *options: str, key: str = "none", first_file: str | None = None
) -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """Two runs: the first one is suspended amid sending all texts, and the second one has said that it waits for it."""
    first_file, second_file = first_file or job_file(folder, "a", server), job_file(folder, "b", server, key)
    with runs(folder, first_file) as [first]:
        wait_for_texts(server, 1, first)
        first.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WNOWAIT)
        with runs(folder, [second_file, *options]) as [second]:
            assert second.stderr is not None
            assert "waiting for another run (a.yaml/all), which is sending 600 texts of this job" in second.stderr.readline()
            yield first, second


def test_two_and_three_runs_that_begin_together_send_each_text_once(tmp_path: Path, server: FakeServer) -> None:
    for number, names in enumerate(("ab", "abc", "abc") if DEEP else ("abc",)):
        folder = tmp_path / str(number)
        folder.mkdir()
        server.requests.clear()
        with runs(folder, *(job_file(folder, name, server) for name in names)) as started:
            for process in started:
                code, told = finish(process)
                assert code == 0, told
        assert sorted(server.sent_texts) == sorted(TEXTS)
        assert [(folder / f"{name}.jsonl").read_bytes() == ROWS for name in names] == [True] * len(names)
        assert list((folder / STATE_FOLDER / CLAIMS).iterdir()) == []


def test_a_run_takes_over_from_one_that_was_killed_and_only_what_was_in_flight_is_sent_twice(tmp_path: Path, server: FakeServer) -> None:
    with second_waits(tmp_path, server) as (first, second):
        first.send_signal(signal.SIGCONT)
        wait_for_texts(server, ITEMS // 2, first)
        first.kill()
        code, told = finish(second)
    assert code == 0, told
    sent = Counter(server.sent_texts)
    assert set(sent) == set(TEXTS)
    assert ITEMS <= sent.total() <= ITEMS + IN_FLIGHT * BATCH
    assert (tmp_path / "b.jsonl").read_bytes() == ROWS
    assert list((tmp_path / STATE_FOLDER / CLAIMS).iterdir()) == []


def test_a_run_waits_for_one_that_is_suspended_until_it_goes_on(tmp_path: Path, server: FakeServer) -> None:
    with second_waits(tmp_path, server) as (first, second):
        time.sleep(1)
        assert second.poll() is None
        first.send_signal(signal.SIGCONT)
        assert [finish(process)[0] for process in (first, second)] == [0, 0]
    assert sorted(server.sent_texts) == sorted(TEXTS)
    assert [(tmp_path / name).read_bytes() == ROWS for name in ("a.jsonl", "b.jsonl")] == [True, True]


ENDINGS: dict[str, tuple[Sequence[str], signal.Signals | None, int]] = {
    "max runtime": (("--max-runtime", "3s"), None, 75),
    "Ctrl-C": ((), signal.SIGINT, 130),
    "SIGTERM": ((), signal.SIGTERM, 143),
}
ENDINGS = cases(ENDINGS, "Ctrl-C")


@pytest.mark.parametrize(("options", "number", "code"), ENDINGS.values(), ids=ENDINGS)
def test_a_run_that_waits_can_be_ended(
    tmp_path: Path, server: FakeServer, options: Sequence[str], number: signal.Signals | None, code: int
) -> None:
    with second_waits(tmp_path, server, *options) as (first, second):
        if number is not None:
            second.send_signal(number)
        found, told = finish(second)
        assert found in (code, -(number or 0)), told
        assert summary_of(told)["exit_code"] == code
        first.send_signal(signal.SIGCONT)
        assert finish(first)[0] == 0
    assert sorted(server.sent_texts) == sorted(TEXTS)


CAUSES = cases({"a budget": 4, "a wrong key": 77, "Ctrl-C": 130, "max runtime": 75}, "a budget")


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.parametrize(("cause", "code"), CAUSES.items(), ids=CAUSES)
def test_a_run_takes_over_what_another_one_leaves(tmp_path: Path, cause: str, code: int) -> None:
    with FakeServer(latency=0.2, key="right").in_thread() as server:
        first_file = job_file(tmp_path, "a", server, key="wrong" if cause == "a wrong key" else "right", **LEAVES.get(cause, {}))
        with second_waits(tmp_path, server, key="right", first_file=first_file) as (first, second):
            if cause == "Ctrl-C":
                first.send_signal(signal.SIGINT)
            first.send_signal(signal.SIGCONT)
            ended, said = finish(first)
            assert ended in (code, -signal.SIGINT), said
            found, told = finish(second)
    assert found == 0, told
    sent = Counter(text for request in server.requests if "right" in request.headers["authorization"] for text in request.texts)
    assert set(sent) == set(TEXTS)
    # Where it was suspended past its time and the grace, what was in flight is cut off.
    assert sent.total() <= ITEMS + (IN_FLIGHT * BATCH if cause == "max runtime" else 0)
    assert (tmp_path / "b.jsonl").read_bytes() == ROWS


def documents_file(folder: Path, name: str, server: FakeServer) -> str:
    """Write a job file that fills a collection of its own with the folder's documents, many to a round, and has questions answered."""
    endpoint = {"provider": "openai", "base_url": server.base_url, "limits": {"concurrency": IN_FLIGHT}}
    store = {"store": {"path": f"{name}.db"}, "embedder": {**endpoint, "model": "m", "batch": {"max_items": BATCH}}, "workers": IN_FLIGHT}
    fill = {"name": "fill", "kind": "ingest", "input": {"items": [{"id": text, "text": text} for text in TEXTS]}, **store}
    questions = [f"What is {text}?" for text in TEXTS[:QUESTIONS]]
    ask = {"name": "ask", "kind": "query", "needs": ["fill"], "input": {"items": questions}, "search": "keyword", "llm": "small", **store}
    jobs = {"llms": {"small": {**endpoint, "model": "gpt"}}, "jobs": [fill, {**ask, "output": f"{name}.jsonl"}]}
    (folder / f"{name}.yaml").write_text(json.dumps(jobs))
    return f"{name}.yaml"


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_documents_and_answers_of_two_runs_are_paid_for_once(tmp_path: Path, server: FakeServer) -> None:
    with runs(tmp_path, documents_file(tmp_path, "a", server), documents_file(tmp_path, "b", server)) as started:
        for process in started:
            code, told = finish(process)
            assert code == 0, told
    assert sorted(server.sent_texts) == sorted(TEXTS)
    assert set(Counter(server.prompts).values()) == {1}
    assert len(server.prompts) == QUESTIONS
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert list((tmp_path / STATE_FOLDER / CLAIMS).iterdir()) == []


@pytest.mark.parametrize("amid", ["documents", "answers"] if DEEP else ["answers"])
def test_of_documents_and_answers_only_what_was_in_flight_when_a_run_was_killed_is_paid_for_twice(
    tmp_path: Path, server: FakeServer, amid: str
) -> None:
    files = documents_file(tmp_path, "a", server), documents_file(tmp_path, "b", server)
    with runs(tmp_path, *files) as (first, second):
        sent = (lambda: len(server.sent_texts) > ITEMS // 2) if amid == "documents" else lambda: len(server.prompts) > QUESTIONS // 2
        wait_until(sent, first)
        first.kill()
        code, told = finish(second)
    assert code == 0, told
    assert set(server.sent_texts) == set(TEXTS)
    assert len(server.sent_texts) <= ITEMS + IN_FLIGHT * BATCH
    assert len(set(server.prompts)) == QUESTIONS
    assert len(server.prompts) <= QUESTIONS + IN_FLIGHT
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == QUESTIONS
