"""Runs uv, ruff and asyncrun, and draws how each ends: docs/pictures/peers/*.svg, light and dark, for docs/comparison.md.

Run: python scripts/peer_endings.py (needs uv on PATH and a package index; times and versions differ from one run to the next)
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte
from pictures import FOLDER, THEMES, WIDTH, render_lines
from rich.style import Style
from rich.text import Text

PEERS = FOLDER / "peers"
LINES = 80
JOBS = """\
defaults: {max_failures: 10%}
jobs:
  - {name: docs, kind: embed, input: docs.jsonl, output: docs.vectors.jsonl}
  - {name: notes, kind: embed, input: notes.jsonl, output: notes.vectors.jsonl}
"""
MEAN = """\
import os


def mean(values: list[float]) -> float:
    return sum(values) / len(valeus)
"""


def _write(file: str, name: str, field: str = "text") -> None:
    """Write forty records, the last two with their text under `field`."""
    records = [{"id": f"{name}{number}", field if number > 37 else "text": f"{name} number {number}"} for number in range(40)]
    Path(file).write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


def _prepare_jobs() -> None:
    Path("jobs.yaml").write_text(JOBS, encoding="utf-8")
    for name in ("docs", "notes"):
        _write(f"{name}.jsonl", name)


def _spoil_notes() -> None:
    _write("notes.jsonl", "notes", "title")


def _prepare_ruff() -> None:
    Path("sums.py").write_text("TOTAL = sum([1, 2])\n", encoding="utf-8")
    Path("mean.py").write_text(MEAN, encoding="utf-8")


def _prepare_uv() -> None:
    subprocess.run(["uv", "venv", "--quiet"], check=True)


Step = Callable[[], None] | str
SESSIONS: dict[str, tuple[Step, ...]] = {
    "uv": (_prepare_uv, "uv pip install httpx", "uv pip install httpx", "uv pip install httpx==0.28.1 'httpcore<1'"),
    "ruff": (_prepare_ruff, "ruff check sums.py", "ruff check mean.py"),
    "asyncrun": (_prepare_jobs, "asyncrun run", "asyncrun run", _spoil_notes, "asyncrun run"),
}
"""What is typed, one after the other in one folder, and what is prepared before."""


def play(steps: tuple[Step, ...]) -> Text:
    """Return what a session shows on a terminal: each command, what is left of what it said, and the code that it exits with."""
    environ = {**{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "VIRTUAL_ENV")}, "TERM": "xterm"}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    shown: list[Text] = []
    for step in steps:
        if not isinstance(step, str):
            step()
            continue
        screen, code = _on_terminal(step, environ)
        shown += [Text(f"$ {step}", "bold"), screen, Text(f"exit code {code}", "bright_black"), Text()]
    return Text("\n").join(shown[:-1])


def _on_terminal(command: str, environ: dict[str, str]) -> tuple[Text, int]:
    """Run a command on a terminal of its own; return what it leaves there, and its exit code."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (LINES, WIDTH))
    screen = pyte.Screen(WIDTH, LINES)
    stream = pyte.ByteStream(screen)
    with subprocess.Popen(shlex.split(command), env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        os.close(its)
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while said := os.read(ours, 65536):
                stream.feed(said)
        code = process.wait()
    os.close(ours)
    rows = [_row(screen.buffer[number]) for number in range(screen.cursor.y + 1)]
    shown = Text("\n").join(rows)
    shown.rstrip()
    return shown, code


def _row(cells: Mapping[int, pyte.screens.Char]) -> Text:
    """Return one row of a screen, with its colours."""
    row = Text()
    for column in range(WIDTH):
        cell = cells[column]
        colour = re.sub("^bright(?=.)", "bright_", cell.fg.replace("brown", "yellow"))
        if re.fullmatch("[0-9a-f]{6}", colour):
            colour = f"#{colour}"
        row.append(cell.data, Style(color=None if colour == "default" else colour, bold=cell.bold, italic=cell.italics))
    row.rstrip()
    return row


def main() -> int:
    """Play the sessions, and write the pictures."""
    PEERS.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    for name, steps in SESSIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            shown = play(steps)
            os.chdir(before)
        for theme in THEMES:
            (PEERS / f"{name}-{theme}.svg").write_text(render_lines([shown], name, theme, f"{name}-{theme}"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
