from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import Any

import pytest

from asyncrun.ports import Progress
from asyncrun.ui.bars import BarProgress
from asyncrun.ui.json_lines import JsonProgress
from asyncrun.ui.plain_lines import PlainProgress, WarningsOnly
from asyncrun.ui.progress_choice import Look, build_progress, choose_colour, choose_look

TERMINAL = {"TERM": "xterm-256color"}
DUMB = {"TERM": "dumb"}
CI = {"TERM": "xterm", "CI": "true"}


@pytest.mark.parametrize(
    ("quiet", "json", "progress", "terminal", "environ", "look"),
    [
        (False, False, "auto", True, TERMINAL, Look.BARS),
        (False, False, "auto", True, {}, Look.BARS),
        (False, False, "auto", True, {**TERMINAL, "CI": ""}, Look.BARS),
        (False, False, "auto", False, TERMINAL, Look.PLAIN),
        (False, False, "auto", True, DUMB, Look.PLAIN),
        (False, False, "auto", True, CI, Look.PLAIN),
        (False, False, "auto", True, {**TERMINAL, "NO_COLOR": "1"}, Look.BARS),
        (False, False, "auto", False, {**TERMINAL, "FORCE_COLOR": "1"}, Look.PLAIN),
        (False, False, "always", True, CI, Look.BARS),
        (False, False, "always", True, DUMB, Look.PLAIN),
        (False, False, "always", False, TERMINAL, Look.PLAIN),
        (False, False, "never", True, TERMINAL, Look.WARNINGS),
        (False, True, "auto", True, TERMINAL, Look.JSON),
        (False, True, "always", True, TERMINAL, Look.JSON),
        (True, False, "always", True, TERMINAL, Look.NOTHING),
        (True, True, "always", True, TERMINAL, Look.NOTHING),
    ],
)
def test_a_bar_moves_only_where_it_can(quiet: bool, json: bool, progress: Any, terminal: bool, environ: dict[str, str], look: Look) -> None:
    assert choose_look(quiet=quiet, json=json, progress=progress, terminal=terminal, environ=environ) is look


@pytest.mark.parametrize(
    ("color", "terminal", "environ", "colour"),
    [
        ("auto", True, TERMINAL, True),
        ("auto", False, TERMINAL, False),
        ("auto", True, DUMB, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"FORCE_COLOR": ""}, False),
        ("auto", True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_flag_then_environment_then_terminal(color: Any, terminal: bool, environ: dict[str, str], colour: bool) -> None:
    assert choose_colour(color=color, terminal=terminal, environ=environ) is colour


@pytest.mark.parametrize(
    ("look", "kind"),
    [
        (Look.NOTHING, Progress),
        (Look.WARNINGS, WarningsOnly),
        (Look.PLAIN, PlainProgress),
        (Look.JSON, JsonProgress),
        (Look.BARS, BarProgress),
    ],
)
def test_every_look_is_built_and_can_be_closed(look: Look, kind: type, clock: Any) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    progress = build_progress(look, stdout=stdout, stderr=stderr, clock=clock)
    assert type(progress) is kind
    progress.run_started("r1", ["notes"])
    progress.close()
    progress.close()
    assert bool(stdout.getvalue()) is (look is Look.JSON)


@pytest.mark.parametrize(
    "module", ["run_state", "progress_choice", "run_json", "json_lines", "plain_lines", "plan_table", "failed_items", "formatting"]
)
def test_lines_need_no_rich(module: str) -> None:
    program = f"import asyncrun.ui.{module}, sys; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], env={**os.environ}, check=False).returncode == 0
