"""Importing is cheap: what is heavy is loaded by what uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"rich", "pydantic", "numpy", "httpx", "aiohttp", "onnxruntime", "tokenizers", "yaml", "pyarrow", "orjson", "nest_asyncio"}

LIST_MODULES = """
import contextlib, sys
try:
    {program}
finally:
    sys.stderr.write("\\n".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def loaded(program: str) -> set[str]:
    """Return the top-level modules that a fresh process has loaded when the program has ended."""
    code = LIST_MODULES.format(program=program)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.split())


@pytest.mark.parametrize(
    "program",
    [
        "import asyncrun",
        "import asyncrun.cli",
        "from asyncrun.cli import main; sys.argv = ['asyncrun', '--version']; raise SystemExit(main())",
        "from asyncrun.cli import main; sys.argv = ['asyncrun', '--help']; raise SystemExit(main())",
        "import asyncrun.embedders, asyncrun.stores, asyncrun.readers, asyncrun.writers, asyncrun.testing, asyncrun.ui",
    ],
)
def test_what_is_heavy_is_not_loaded(program: str) -> None:
    assert loaded(program) & HEAVY == set()


JOB = "jobs: [{name: n, kind: embed, input: {items: [a], allow_empty: true}, output: out.jsonl}]"
# Typer reads the values of flags with pydantic.
TYPER = {"pydantic"}


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["run", "--help"], TYPER),
        (["validate"], {*TYPER, "yaml"}),
        (["schema"], {*TYPER, "yaml"}),
        (["init", "new.yaml"], {*TYPER, "yaml"}),
        (["plugins"], TYPER),
        (["trace"], {*TYPER, "orjson"}),
        (["trace", "list"], {*TYPER, "orjson"}),
        (["trace", "list", "--since", "7d"], {*TYPER, "orjson"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_needs(words: list[str], needed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jobs.yaml").write_text(JOB)
    subprocess.run([sys.executable, "-m", "asyncrun", "run", "-q"], check=True)
    program = f"from asyncrun.cli import main; sys.argv = ['asyncrun', *{words!r}]; raise SystemExit(main())"
    assert loaded(program) & HEAVY <= needed


def test_importing_the_package_loads_no_command_line() -> None:
    assert "typer" not in loaded("import asyncrun")


def test_a_library_user_pays_for_no_bar_that_is_not_shown() -> None:
    assert "rich" not in loaded("from asyncrun import run_jobs, asyncio_run, run_async_tasks, batch_gather")
