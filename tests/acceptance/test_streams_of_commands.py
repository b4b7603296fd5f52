"""Every command survives a closed stdout, a closed stderr and a full disk behind them; a signal is what the shell sees."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer

JOB = "jobs: [{name: n, kind: embed, input: {items: [one]}, output: out.jsonl}]\n"
COMMANDS = [
    *("--version", "--help", "run --help", "run --version", "run", "run --json", "plan", "plan --json", "validate", "failed", "retry"),
    *("export n -o -", "schema", "plugins", "trace", "trace list --json", "trace html", "ledger", "clean", "embed notes.txt -o -"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    (folder / "jobs.yaml").write_text(JOB)
    (folder / "notes.txt").write_text("a text")
    assert call("run -q", folder, "").returncode == 0
    return folder


def call(words: str, folder: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {shlex.quote(sys.executable)} -m asyncrun {words} {redirection}"
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != "retry"])
def test_a_full_standard_output_is_told_in_a_sentence_and_ends_with_74(folder: Path, words: str) -> None:
    ended = call(words, folder, ">/dev/full")
    assert ended.returncode == 74, ended.stderr
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "internal error" not in ended.stderr


@pytest.mark.parametrize("redirection", [">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("words", ["--version", "run --help", "run", "export n -o -", "embed notes.txt -o -", "trace"])
def test_what_nobody_can_read_changes_no_exit_code(folder: Path, words: str, redirection: str) -> None:
    ended = call(words, folder, redirection)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("words", ["run nobody", "run --nonsense", "nonsense", "plan nowhere.yaml"])
def test_a_mistake_is_2_also_where_it_cannot_be_told(folder: Path, words: str, redirection: str) -> None:
    assert call(words, folder, redirection).returncode == 2


@pytest.mark.parametrize("words", ["--help", "schema", "trace html", "run"])
def test_a_reader_that_goes_away_is_no_error(folder: Path, words: str) -> None:
    ended = call(words, folder, "| head -c 1 >/dev/null")
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)


@pytest.mark.parametrize("stream", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_summary_for_a_stream_goes_there_and_the_file_behind_it_stays(folder: Path, stream: str) -> None:
    ended = call(f"run --summary-file {stream}", folder, ">> told.txt")
    assert ended.returncode == 0
    summary, *_, last = [line for line in (folder / "told.txt").read_text().splitlines() if line]
    assert json.loads(summary)["status"] == "succeeded"
    assert last.startswith("Run ")
    (folder / "told.txt").unlink()


def test_a_summary_for_a_pipe_or_a_device_leaves_it_as_it_is(folder: Path) -> None:
    ended = call("run -q --summary-file /dev/stdout", folder, "| cat")
    assert json.loads(ended.stdout)["exit_code"] == 0
    os.mkfifo(folder / "pipe")
    assert call("run -q --summary-file pipe", folder, "").returncode == 73
    assert (folder / "pipe").is_fifo()
    assert call("run -q --summary-file /dev/full", folder, "").returncode == 74


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_shell_sees_129_130_143_and_the_summary_says_so(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with FakeServer(latency=30).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        command = [sys.executable, "-m", "asyncrun", "run", "--json", "--summary-file", "summary.json"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while not server.requests:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(number)
            time.sleep(0.1)
            process.send_signal(number)
            told, _ = process.communicate(timeout=30)
    # As a shell counts: a process that dies by a signal ends with 128 and the signal's number.
    assert process.returncode == -number
    assert json.loads(told.splitlines()[-1])["exit_code"] == json.loads((tmp_path / "summary.json").read_text())["exit_code"] == code
