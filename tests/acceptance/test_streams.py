"""A closed or full stream never breaks a run, and never reaches a file of its own."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import first


@pytest.mark.parametrize(
    ("redirection", "code"), first([("| head -c 1", 0), ("> /dev/full", 74), ("2>&-", 0), (">&- 2>&-", 0), ("<&-", 0)], quick=2)
)
def test_a_run_survives_its_streams(tmp_path: Path, redirection: str, code: int) -> None:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n')
    with FakeServer().in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        command = f"set -o pipefail; {shlex.quote(sys.executable)} -m asyncrun run {redirection}"
        ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    [row] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert row["id"] == "a"


@pytest.mark.parametrize("after", first([0.2, 0.0]))
def test_a_reader_that_takes_one_row_ends_nothing_and_loses_nothing(tmp_path: Path, after: float) -> None:
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(3000)))
    with FakeServer(dimensions=64).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "-", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        reader = f"{{ head -n 1; sleep {after}; }}"
        command = f"set -o pipefail; {shlex.quote(sys.executable)} -m asyncrun run | {reader}"
        ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert "Traceback" not in ran.stderr
        assert "Broken" not in ran.stderr
        assert json.loads(ran.stdout.splitlines()[0])["id"] == "0"
        sent = len(server.sent_texts)
        whole = subprocess.run([sys.executable, "-m", "asyncrun", "run", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert whole.returncode == 0, whole.stderr
        assert [json.loads(line)["id"] for line in whole.stdout.splitlines()] == [str(n) for n in range(3000)]
        assert (sent, len(server.sent_texts)) == (3000, 3000)


def test_ctrl_c_ends_the_reading_of_standard_input_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text('jobs: [{name: n, kind: embed, input: "-", output: out.jsonl}]\n')
    command = [sys.executable, "-m", "asyncrun", "run"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    state = tmp_path / ".asyncrun"
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:
        assert process.stdin is not None
        process.stdin.write("x" * 1_000_000)  # More than a pipe holds: when it is gone, it is being read.
        process.stdin.flush()
        assert list(state.glob("stdin.*"))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in told
    assert not list(state.glob("stdin.*"))


def test_what_a_killed_run_has_read_from_standard_input_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    state = tmp_path / ".asyncrun"
    state.mkdir()
    (state / "stdin.999999999").write_text("private text")
    ran = subprocess.run([sys.executable, "-m", "asyncrun", "run", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert not list(state.glob("stdin.*"))
