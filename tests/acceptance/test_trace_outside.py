"""Traces as whole programs see them: two runs at once, a narrow terminal, no terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer

COLOUR = re.compile(r"\x1b\[[0-9;]+m")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "asyncrun", *words]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")}
    return {**kept, **more}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where two job files have run at the same time."""
    folder = tmp_path_factory.mktemp("recorded")
    with FakeServer().in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
        for name in ("one", "two"):
            items = [f"{name} {number}" for number in range(200)]
            job = {"name": f"job-{name}", "kind": "embed", "input": {"items": items}, "output": f"{name}.jsonl", "embedder": embedder}
            (folder / f"{name}.yaml").write_text(json.dumps({"jobs": [job]}))
        runs = [subprocess.Popen(command("run", f"{name}.yaml", "-q"), cwd=folder) for name in ("one", "two")]
        assert [run.wait(120) for run in runs] == [0, 0]
    return folder


def on_terminal(folder: Path, columns: int, *words: str) -> str:
    """Return what a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command(*words), cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm")
    ) as process:
        os.close(theirs)
        received = b""
        try:
            while data := os.read(ours, 65536):
                received += data
        except OSError:  # EIO is how Linux says that the other side has closed
            pass
        os.close(ours)
        assert process.wait() == 0
    return received.decode()


def test_two_runs_at_once_have_a_trace_each(recorded: Path) -> None:
    def shown(*words: str) -> dict[str, list[dict[str, str]]]:
        document: dict[str, list[dict[str, str]]] = json.loads(subprocess.check_output(command("trace", *words, "--json"), cwd=recorded))
        return document

    runs = shown("list")["runs"]
    assert [run["status"] for run in runs] == ["succeeded", "succeeded"]
    jobs = [{span["name"] for span in shown("show", run["run_id"])["spans"] if span["parent"] is None} for run in runs]
    assert sorted(jobs, key=str) == [{"job-one"}, {"job-two"}]


def test_a_terminal_of_twenty_columns_gets_colour_and_no_longer_line(recorded: Path) -> None:
    for view in ("show", "list", "timeline", "slow", "errors"):
        screen = on_terminal(recorded, 20, "trace", view)
        lines = COLOUR.sub("", screen).split("\r\n")
        assert max(map(len, lines)) <= 20
        assert "\x1b" not in "".join(lines)
        # There was no failure, so there is nothing to colour.
        assert bool(COLOUR.search(screen)) == (view != "errors")


def test_what_is_no_terminal_gets_plain_lines_of_a_fixed_width(recorded: Path) -> None:
    for view in ("show", "list", "timeline", "slow", "errors"):
        shown = subprocess.check_output(command("trace", view), cwd=recorded, env=environment(), stdin=subprocess.DEVNULL, text=True)
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines())) <= 100
