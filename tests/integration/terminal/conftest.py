"""A terminal as a person has it: a pseudo terminal that a child process writes to, and the screen that comes of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyte
import pytest

PATIENCE = 60.0
"""Seconds until what should be seen is not seen any more."""
WITHOUT = ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
# A session's first terminal is not its own until it is asked for, and only then a resize and a hang-up are signalled.
OWN = "import fcntl, runpy, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); sys.argv.pop(0); "


class Terminal:
    """One terminal with one process on it: stderr is the terminal, stdout too unless it is given."""

    def __init__(self, command: Sequence[str], *, columns: int, rows: int, stdout: IO[bytes] | None = None, **popen: Any) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.received = b""
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        self._set_size(theirs, columns, rows)
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=stdout or theirs, stderr=theirs, start_new_session=True, **popen
            )
        finally:
            os.close(theirs)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without what is empty at the end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def until(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Read until something is seen, or the patience is at its end; return the screen."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.lines) and time.monotonic() < deadline and self._read(0.1):
            pass
        return self.lines

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size, as its user does while a program runs."""
        self.screen.resize(rows, columns)
        self._set_size(self._ours, columns, rows)

    def end(self) -> int:
        """Let the scene end, read what is left, and return the exit code."""
        self._close_stdin()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._read(0.1):
            pass
        return self.process.wait(timeout=PATIENCE)

    def vanish(self) -> None:
        """Close the window."""
        os.close(self._ours)
        self._ours = -1

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close_stdin()
        if self._ours >= 0:
            self.vanish()

    def _close_stdin(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _read(self, seconds: float) -> bool:
        """Take what comes within so many seconds; return whether more can come."""
        if select.select([self._ours], [], [], seconds)[0]:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # EIO is how Linux says that the other side has closed
                return False
            self.received += data
            self._stream.feed(data)
            return bool(data)
        return True

    @staticmethod
    def _set_size(descriptor: int, columns: int, rows: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal() -> Iterator[Open]:
    """Return what runs `python WORDS` on a terminal of its own: a script, or a module after `-m`."""
    opened: list[Terminal] = []

    def start(*words: str, columns: int = 80, rows: int = 50, environ: Mapping[str, str] | None = None, **popen: Any) -> Terminal:
        module = words[0] == "-m"
        call = "run_module(sys.argv[0], alter_sys=True," if module else "run_path(sys.argv[0],"
        known = {name: value for name, value in os.environ.items() if name not in WITHOUT}
        command = [sys.executable, "-c", f"{OWN} runpy.{call} run_name='__main__')", *(words[1:] if module else words)]
        terminal = Terminal(command, columns=columns, rows=rows, env={**known, "TERM": "xterm-256color", **(environ or {})}, **popen)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def scenes() -> str:
    """The script that draws scenes."""
    return str(Path(__file__).resolve().parents[3] / "scripts" / "scenes.py")
