"""Bars on a real pseudo terminal, in a process of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "show_bars.py"


def run_on_terminal(stdout: Path, **environ: str) -> bytes:
    """Run the program with a terminal as stderr and a file as stdout; return what the terminal got."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "FORCE_COLOR", "TERM")}
    try:
        with stdout.open("wb") as file:
            child = subprocess.Popen([sys.executable, str(PROGRAM)], stdout=file, stderr=theirs, env={**inherited, **environ})
        os.close(theirs)
        received = b"".join(read_all(ours))
        assert child.wait() == 0
    finally:
        os.close(ours)
    return received


def read_all(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # EIO is how Linux says that the other side has closed
            return
        if not data:
            return
        yield data


def test_a_terminal_gets_bars_and_stdout_stays_clean(tmp_path: Path) -> None:
    out = tmp_path / "out"
    screen = run_on_terminal(out, TERM="xterm-256color", COLUMNS="100", LINES="30")
    assert out.read_text() == "a line on stdout\nBarProgress\n"
    assert b"a line on stderr" in screen
    assert b"succeeded" in screen
    assert b"2,000/2,000" in screen
    assert screen.count(b"running") <= 500, "2,000 calls must not mean 2,000 drawings"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}])
def test_where_bars_cannot_move_the_terminal_gets_plain_lines(tmp_path: Path, environ: dict[str, str]) -> None:
    out = tmp_path / "out"
    screen = run_on_terminal(out, **environ)
    assert out.read_text() == "a line on stdout\nPlainProgress\n"
    assert b"\x1b" not in screen
    assert b"notes: succeeded: 2,000 ok" in screen
