"""What the mistakes of a job file show of it: nothing that steers a terminal; where there is no terminal, one line each."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

JOBS = """\
embedders:
  e: {provider: opnai, model: m}
jobs:
  - {name: a, kind: embed, input: i, output: o.jsonl, embedder: e, wokers: 3}
"""


def on_terminal(folder: Path, columns: int) -> str:
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "asyncrun", "validate", "jobs.yaml"],
            cwd=folder,
            stderr=theirs,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
        )
        os.close(theirs)
        received = b""
        while data := read(ours):
            received += data
        assert child.wait() == 2
    finally:
        os.close(ours)
    return received.decode().replace("\r\n", "\n")


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO is how Linux says that the other side has closed.
        return b""


def test_what_stands_in_the_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS.replace("opnai", '"\u202eopnai"').replace(", wokers: 3", ""))
    assert "\u202e" not in on_terminal(tmp_path, 100)


def test_elsewhere_a_mistake_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    command = [sys.executable, "-m", "asyncrun", "validate", "jobs.yaml"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 3
    assert ended.stdout == ""
