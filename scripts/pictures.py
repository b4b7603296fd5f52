"""Draws the pictures of the README, docs/pictures/*.svg, light and dark: a run on a terminal, its end, and a job file with mistakes.

Run: python scripts/pictures.py [--check]

The same code gives the same bytes: the moments are those of `scenes.py`, on a clock that stands still.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from scenes import END, HandClock, limit, the_end

from asyncrun.app.request import Request
from asyncrun.app.validate import check_job_file
from asyncrun.cli._output import show_error
from asyncrun.errors import JobFileError
from asyncrun.records import ItemFailure
from asyncrun.ui.colours import paint
from asyncrun.ui.formatting import render_warning
from asyncrun.ui.progress_frame import MOST_GROUPS, render_frame
from asyncrun.ui.run_state import TrackingProgress

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WIDTH = 100
MISTAKEN = """\
jobs:
  - name: embed-notes
    kind: embd
    input: notes.jsonl
    output: out/notes.jsonl
    max_failures: 1 %%
    embedder:
      provider: openai
      model: text-embedding-3-small
      batch: {max_item: 64}
"""
# The fonts of whoever looks: a picture loads nothing from elsewhere.
FORMAT = """\
<svg class="{unique_id}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="LABEL">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; \
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def _theme(background: str, text: str, *colours: str) -> TerminalTheme:
    """Return a theme of colours in hexadecimal digits: black, red, green, yellow, blue, magenta, cyan, white."""

    def rgb(digits: str) -> tuple[int, int, int]:
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)

    return TerminalTheme(rgb(background), rgb(text), [rgb(colour) for colour in colours])


THEMES = {
    "light": _theme("ffffff", "1f2328", "24292f", "cf222e", "116329", "7d4e00", "0550ae", "8250df", "1b7c83", "6e7781"),
    "dark": _theme("0d1117", "e6edf3", "6e7681", "ff7b72", "7ee787", "e3b341", "79c0ff", "d2a8ff", "56d4dd", "c9d1d9"),
}
"""Terminals as they are set by default on a bright and on a dark desktop."""


class Screen(io.StringIO):
    """A text that is a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


class Watched(TrackingProgress):
    """What bars show at one moment: the picture at the foot, and the lines above it."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock)
        self.above: list[Text] = []

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Count it."""
        self.note_failure(task, failure)

    def warn(self, message: str) -> None:
        """Keep the line."""
        self.above.append(Text(render_warning(message), style="yellow"))

    def picture(self) -> list[RenderableType]:
        """Return all lines."""
        return [*self.above, render_frame(self.tasks, self._clock.monotonic(), WIDTH, groups=self.failure_groups(MOST_GROUPS))]


def a_run() -> list[RenderableType]:
    """Return a run that goes on, with a wait for a limit."""
    clock = HandClock()
    watched = Watched(clock)
    limit(watched, clock)
    return watched.picture()


def an_end() -> list[RenderableType]:
    """Return the end of a run: trace map, timing summary, jobs, failures, verdict."""
    return [Text.from_ansi(paint(the_end(END, WIDTH), colour=True))]


def a_mistake() -> list[RenderableType]:
    """Return what is said of a job file with several mistakes."""
    os.environ["COLUMNS"] = str(WIDTH)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = Path("jobs.yaml")
        file.write_text(MISTAKEN, encoding="utf-8")
        told = Screen()
        try:
            check_job_file(Request(file), strict=False)
        except JobFileError as error:
            show_error(error, told)
    return [Text.from_ansi(told.getvalue().rstrip("\n"))]


PICTURES: dict[str, tuple[str, Callable[[], list[RenderableType]]]] = {
    "run": ("asyncrun run", a_run),
    "end": ("asyncrun run", an_end),
    "mistake": ("asyncrun validate", a_mistake),
}


def render_picture(name: str, theme: str) -> str:
    """Return a picture as SVG in a theme, with the command that shows it as its title."""
    command, lines = PICTURES[name]
    return render_lines(lines(), command, theme, f"{name}-{theme}")


def render_lines(lines: list[RenderableType], title: str, theme: str, unique_id: str) -> str:
    """Return a terminal that shows lines as SVG in a theme; ids in it begin with `unique_id`."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        # Whatever terminal this runs on.
        _environ={},
    )
    console.print(Group(*lines), soft_wrap=False, highlight=False)
    form = FORMAT.replace("LABEL", title)
    svg = console.export_svg(title=title, theme=THEMES[theme], code_format=form, unique_id=unique_id)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def main() -> int:
    """Write the pictures, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a picture is out of date")
    check, late = parser.parse_args().check, 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, theme in product(PICTURES, THEMES):
        file, wanted = FOLDER / f"{name}-{theme}.svg", render_picture(name, theme)
        if file.exists() and file.read_text(encoding="utf-8") == wanted:
            continue
        if check:
            sys.stderr.write(f"docs/pictures/{file.name} is out of date; run: python scripts/pictures.py\n")
            late = 1
        else:
            file.write_text(wanted, encoding="utf-8")
    return late


if __name__ == "__main__":
    sys.exit(main())
