"""Ctrl-C while a command only looks, and is busy with a large input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import first

from .conftest import finish, start, wait_until

ITEMS = 2000
SLOW = Path(__file__).resolve().parents[1] / "programs" / "slow_input.py"
"""The command line, where an input takes as long as a large one; a file tells that it is read."""


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """A folder with a job of many texts, all of them embedded, and an older export."""
    with FakeServer().in_thread() as server:
        (tmp_path / "notes.jsonl").write_text("".join(f'{{"id": "{number}", "text": "note {number}"}}\n' for number in range(ITEMS)))
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        code, told = finish(start(tmp_path))
    assert code == 0, told
    (tmp_path / "exported.jsonl").write_text("an older export\n")
    (tmp_path / "reading").touch()
    return tmp_path


def begin(folder: Path, *command: str) -> subprocess.Popen[str]:
    (folder / "reading").unlink()
    words = [sys.executable, SLOW, *command]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_export_that_is_interrupted_leaves_the_older_one_and_nothing_beside_it(embedded: Path) -> None:
    before = sorted(path.name for path in embedded.iterdir())
    process = begin(embedded, "export", "jobs.yaml", "notes", "-o", "exported.jsonl")
    wait_until(lambda: any(embedded.glob("*exported*.tmp")), process)
    process.send_signal(signal.SIGINT)

    assert finish(process) == (130, "asyncrun: stopped early: SIGINT\n")
    assert (embedded / "exported.jsonl").read_text() == "an older export\n"
    assert sorted(path.name for path in embedded.iterdir()) == before


@pytest.mark.parametrize("command", first([("plan", "jobs.yaml"), ("export", "jobs.yaml", "notes", "-o", "exported.jsonl")]))
def test_whoever_presses_ctrl_c_again_and_again_sees_one_sentence_at_most(embedded: Path, command: tuple[str, ...]) -> None:
    process = begin(embedded, *command)
    wait_until((embedded / "reading").exists, process)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    code, told = finish(process)

    assert code in (130, -signal.SIGINT), told
    assert told in ("", "asyncrun: stopped early: SIGINT\n")
    assert (embedded / "exported.jsonl").read_text() == "an older export\n"
