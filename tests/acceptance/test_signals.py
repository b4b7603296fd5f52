"""Real signals to a real process: what the shell sees, and what the work in flight still does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncrun.process_locks import hold_folder
from asyncrun.testing.server import FakeServer

from .conftest import finish, start, wait_until

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "stop_on_signal.py"
WAITING = Path(__file__).resolve().parents[1] / "programs" / "wait_for_folder.py"
"""The command line, where whoever holds a folder is waited for without end; a file tells that it waits."""


@contextmanager
def started(work: float, grace: float, *before: str) -> Iterator[subprocess.Popen[str]]:
    command = [*before, sys.executable, str(PROGRAM), str(work), str(grace)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready True\n"
            yield process
        finally:
            process.kill()


def rest_of(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    return output.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_work_in_flight_finish_and_the_shell_sees_the_signal(number: signal.Signals) -> None:
    with started(0.2, 60) as process:
        process.send_signal(number)

        assert rest_of(process) == [f"stopping {number.name}", "finished", "cleaned up"]
        assert process.returncode == -number


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_cancels_at_once_and_the_first_names_the_end(second: signal.Signals) -> None:
    with started(3600, 3600) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping SIGINT\n"
        process.send_signal(second)

        assert rest_of(process) == ["cancelled", "cleaned up"]
        assert process.returncode == -signal.SIGINT


def test_after_the_grace_it_is_cancelled() -> None:
    with started(3600, 0.2) as process:
        process.send_signal(signal.SIGTERM)

        assert rest_of(process) == ["stopping SIGTERM", "cancelled", "cleaned up"]
        assert process.returncode == -signal.SIGTERM


def test_a_shell_sees_130() -> None:
    command = [sys.executable, "-c", "from asyncrun.aio.stop import raise_again; print('last words', end=''); raise_again(2)"]
    shell = subprocess.run(["/bin/sh", "-c", '"$@"; echo " $?"', "sh", *command], capture_output=True, text=True, timeout=60, check=False)

    assert shell.stdout == "last words 130\n"


def test_under_nohup_a_hangup_is_ignored_and_other_signals_are_not() -> None:
    with started(0.0, 60, "nohup") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)  # When both wait for a process, the lower number is the first that arrives.

        output, _ = process.communicate(timeout=60)
        assert output.splitlines() == ["stopping SIGTERM", "finished", "cleaned up"]
        assert process.returncode == -signal.SIGTERM


def test_a_run_that_waits_for_whoever_mends_or_cleans_its_folder_is_ended_by_a_signal(tmp_path: Path) -> None:
    job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": {"provider": "local"}}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    (tmp_path / ".asyncrun").mkdir()
    with hold_folder(tmp_path / ".asyncrun"):
        process = start(tmp_path, str(WAITING))
        wait_until((tmp_path / "waiting").exists, process)
        process.send_signal(signal.SIGINT)
        code, told = finish(process)
    assert code == 130, told
    assert not (tmp_path / "out.jsonl").exists()


def test_a_first_signal_says_that_what_is_in_flight_may_finish_and_it_is_not_paid_for_again(tmp_path: Path) -> None:
    with FakeServer(latency=2.0).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        process = start(tmp_path)
        wait_until(lambda: len(server.requests) > 0, process)
        process.send_signal(signal.SIGINT)
        code, told = finish(process)
        assert (code, "SIGINT: what is in flight has 10 s to finish" in told) == (-signal.SIGINT, True), told
        code, told = finish(start(tmp_path))
    assert (code, server.sent_texts) == (0, ["one"]), told
