"""What a person sees at 20, 40, 80 and 120 columns, on a real pseudo terminal: the screen as it stands, compared with a golden one.

The scenes are played on a clock that stands still (`scripts/scenes.py`), so that times and rates are the same each time.
`ASYNCRUN_WRITE_GOLDEN=1 pytest tests/integration/terminal` writes the golden screens anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.depth import first

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (40, 80, 120)
ROWS = {"limit": 12, "fifty": 12, "failure": 40, "end": 60}
Open = Callable[..., Any]


def golden(scene: str, columns: int) -> list[str]:
    return (GOLDEN / f"{scene}-{columns}.txt").read_text(encoding="utf-8").splitlines()


def settled() -> Callable[[list[str]], bool]:
    """Return what says whether a screen has looked the same for a while."""
    before: list[list[str]] = []

    def seen(lines: list[str]) -> bool:
        before.append(lines)
        return len(before) > 15 and all(other == lines and any(other) for other in before[-10:])

    return seen


@pytest.mark.parametrize(("scene", "columns"), [*product(ROWS, WIDTHS), ("limit", 20), ("end", 20)])
def test_a_screen_is_what_it_should_be(open_terminal: Open, scenes: str, scene: str, columns: int) -> None:
    terminal = open_terminal(scenes, scene, columns=columns, rows=ROWS[scene])
    if os.environ.get("ASYNCRUN_WRITE_GOLDEN"):
        text = "\n".join(terminal.until(settled())) + "\n"
        (GOLDEN / f"{scene}-{columns}.txt").write_text(text, encoding="utf-8")
    wanted = golden(scene, columns)
    assert terminal.until(lambda lines: lines == wanted) == wanted
    assert max(map(len, wanted)) <= columns
    assert terminal.end() == 0


BAD = """\
verson: 1
embedders:
  mine: {provider: openai, model: text-embedding-3-small, timeout: 2 fortnights, limits: {share: 120%}}
jobs:
  - {name: notes, kind: embd, input: notes.jsonl, output: out.jsonl, workers: 1e3}
  - name: notes
    kind: embed
    input: notes.jsonl
\toutput: out.jsonl
"""


@pytest.mark.parametrize("columns", first(WIDTHS))
@pytest.mark.parametrize(("scene", "text"), [("mistakes", BAD.replace("\t", "    ")), ("syntax", BAD)])
def test_mistakes_of_a_job_file_are_shown_in_their_lines(open_terminal: Open, tmp_path: Path, scene: str, text: str, columns: int) -> None:
    (tmp_path / "jobs.yaml").write_text(text)
    terminal = open_terminal("-m", "asyncrun", "run", columns=columns, rows=60, cwd=tmp_path)
    assert terminal.end() == 2
    if os.environ.get("ASYNCRUN_WRITE_GOLDEN"):
        (GOLDEN / f"{scene}-{columns}.txt").write_text("\n".join(terminal.lines) + "\n", encoding="utf-8")
    assert terminal.lines == golden(scene, columns)


def test_a_window_that_is_made_narrow_in_the_middle_of_a_run_is_drawn_anew(open_terminal: Open, scenes: str) -> None:
    terminal = open_terminal(scenes, "limit", columns=120, rows=12)
    wanted = golden("limit", 120)
    assert terminal.until(lambda lines: lines == wanted) == wanted
    terminal.resize(40, 12)
    foot = golden("limit", 40)[-5:]
    assert terminal.until(lambda lines: lines[-5:] == foot)[-5:] == foot
    terminal.resize(80, 12)
    foot = golden("limit", 80)[-5:]
    assert terminal.until(lambda lines: lines[-5:] == foot)[-5:] == foot
    assert terminal.end() == 0


def test_a_window_with_few_rows_shows_how_many_tasks_it_does_not_show(open_terminal: Open, scenes: str) -> None:
    terminal = open_terminal(scenes, "fifty", columns=80, rows=50)
    terminal.until(lambda lines: len(lines) > 1 and lines[-1].startswith("total"))
    terminal.resize(80, 6)
    wanted = "and 47 more: 9 running, 36 pending, 2 succeeded"
    assert terminal.until(lambda lines: lines[-2:-1] == [wanted])[-2] == wanted
    assert terminal.end() == 0


def words(text: str) -> list[str]:
    """A screen without its bars: without colour what is left of a bar is blank."""
    return "".join(letter for letter in text if letter not in "━╸╺").split()


@pytest.mark.parametrize(("variable", "coloured"), [("NO_COLOR", False), ("TERM", True)])
def test_without_colour_the_words_are_the_same(open_terminal: Open, scenes: str, variable: str, coloured: bool) -> None:
    environ = {variable: "1" if variable == "NO_COLOR" else "xterm"}
    terminal = open_terminal(scenes, "limit", columns=80, rows=12, environ=environ)
    wanted = words("\n".join(golden("limit", 80)))
    assert words("\n".join(terminal.until(lambda lines: words("\n".join(lines)) == wanted))) == wanted
    colours = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()} - {"default"}
    assert bool(colours) is coloured


def test_without_unicode_no_line_gets_wider_than_the_window(open_terminal: Open, scenes: str) -> None:
    terminal = open_terminal(scenes, "limit", columns=40, rows=12, environ={"PYTHONIOENCODING": "ascii"})
    wanted = words("\n".join(golden("limit", 40)).replace("\u2026", "~"))
    assert words("\n".join(terminal.until(lambda lines: words("\n".join(lines)) == wanted))) == wanted
    assert terminal.end() == 0
