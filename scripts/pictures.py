"""Draws the pictures of the README, docs/pictures/*.svg: a run on a terminal, its trace, and a job file with mistakes.

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
from pathlib import Path

from rich.console import Console, Group, RenderableType
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


def a_trace() -> list[RenderableType]:
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
    "trace": ("asyncrun trace", a_trace),
    "mistake": ("asyncrun validate", a_mistake),
}


def render_picture(name: str) -> str:
    """Return a picture as SVG, with the command that shows it as its title."""
    command, lines = PICTURES[name]
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        # Whatever terminal this runs on.
        _environ={},
    )
    console.print(Group(*lines()), soft_wrap=False, highlight=False)
    svg = console.export_svg(title=command, code_format=FORMAT.replace("LABEL", command), unique_id=name)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def main() -> int:
    """Write the pictures, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a picture is out of date")
    check, late = parser.parse_args().check, 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        file, wanted = FOLDER / f"{name}.svg", render_picture(name)
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
