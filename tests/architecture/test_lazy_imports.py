"""Importing is cheap: what is heavy is loaded by what uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import DEEP

EXAMPLE = Path(__file__).resolve().parents[2] / "jobs.example.yaml"
HEAVY = {
    "aiohttp",
    "apprise",
    "asyncio",
    "httpcore",
    "httpx",
    "nest_asyncio",
    "numpy",
    "onnxruntime",
    "orjson",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlite3",
    "tokenizers",
    "yaml",
}

LAZY = ("aio", "callbacks", "embedders", "jobs", "llms", "readers", "stores", "testing", "ui", "writers")
LIST_MODULES = Path(__file__).resolve().parents[1] / "programs" / "list_modules.py"


def modules(program: str) -> list[str]:
    """Return the modules that a fresh process has loaded when the program has ended."""
    ended = subprocess.run([sys.executable, LIST_MODULES, program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.split()


def loaded(program: str) -> set[str]:
    """Return the packages, and modules outside of packages, that it has loaded."""
    return {name.partition(".")[0] for name in modules(program)}


def call(*words: str) -> str:
    """Return the program that is the command line with these words."""
    return f"from asyncrun.cli import main; sys.argv = ['asyncrun', *{words!r}]; raise SystemExit(main())"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a job file that has run."""
    folder = tmp_path_factory.mktemp("run")
    job = "jobs: [{name: n, kind: embed, input: {items: [a], allow_empty: true}, output: out.jsonl}]"
    (folder / "jobs.yaml").write_text(job)
    subprocess.run([sys.executable, "-m", "asyncrun", "run", "-q"], check=True, cwd=folder)
    return folder


@pytest.mark.parametrize(
    "program",
    [
        "import asyncrun",
        "import asyncrun.cli",
        call("--version"),
        call("--help"),
        f"import {', '.join(f'asyncrun.{name}' for name in LAZY)}",
    ],
)
def test_what_is_heavy_is_not_loaded(program: str) -> None:
    assert loaded(program) & HEAVY == set()


LEDGER = {"sqlite3"}
TRACE = {"orjson", "sqlite3"}
JOB_FILE = {"pydantic", "yaml"}
RUN = {*TRACE, *JOB_FILE, "asyncio", "numpy"}
MOST_OF_OURS = 185
"""Modules of this package that one embed job may load: each is a file that a reader of its way meets."""


NEEDED: list[tuple[list[str], set[str]]] = [
    (["run", "--help"], set()),
    (["trace"], TRACE),
    (["trace", "--json"], TRACE),
    (["trace", "show", "latest"], TRACE),
    (["trace", "timeline"], TRACE),
    (["trace", "slow"], TRACE),
    (["trace", "errors"], TRACE),
    (["trace", "list"], TRACE),
    (["trace", "list", "--since", "7d"], TRACE),
    (["ledger"], LEDGER),
    (["ledger", "stats", "--json"], LEDGER),
    (["ledger", "export", "-o", "finished.jsonl"], RUN),  # What job files read is not written over.
    (["cron"], set()),
    (["cron", "list", "--json"], set()),
    (["cron", "print"], set()),
    (["cron", "print", "--at", "@daily"], {*JOB_FILE, "asyncio"}),
    (["plugins"], set()),
    (["validate"], JOB_FILE),
    (["validate", str(EXAMPLE)], JOB_FILE),
    (["schema"], JOB_FILE),
    (["init", "new.yaml"], JOB_FILE),
    (["plan"], {*RUN, "rich"}),
    (["run", "-q"], RUN),  # Everything is finished: no model is needed any more.
]
"""What each command loads of all that is heavy."""


@pytest.mark.parametrize(
    ("words", "needed"),
    NEEDED if DEEP else NEEDED[1::3],
    ids=lambda value: " ".join(value).replace(str(EXAMPLE), EXAMPLE.name) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_needs(words: list[str], needed: set[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert loaded(call(*words)) & HEAVY <= needed


@pytest.mark.parametrize(("words", "share"), [(["--version"], 0.5), (["--help"], 1.1), (["trace"], 1.25), (["trace", "list"], 1.25)])
def test_what_is_asked_for_most_loads_little_more_than_typer_and_rich(
    words: list[str], share: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    least = len(modules("import typer, rich.console"))
    assert len(modules(call(*words))) <= share * least


def test_one_embed_job_loads_a_bounded_number_of_our_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("".join(f"text number {number}\n" for number in range(20)))
    Path("jobs.yaml").write_text("jobs: [{name: notes, kind: embed, input: {path: notes.txt, format: lines}, output: out.jsonl}]")
    ours = [name for name in modules(call("run")) if name.partition(".")[0] == "asyncrun"]
    assert len(Path("out.jsonl").read_text().splitlines()) == 20
    assert len(ours) <= MOST_OF_OURS, "what this job does not use is imported where it is used"
    assert not [name for name in ours if name.startswith(("asyncrun.batches", "asyncrun.jobs.delivery", "asyncrun.jobs.generate"))]


def test_a_command_loads_no_other_command() -> None:
    ours = {name for name in modules(call("trace", "--help")) if name.startswith("asyncrun.cli.") and "._" not in name}
    assert ours == {"asyncrun.cli.trace"}


def test_importing_the_package_loads_no_command_line() -> None:
    assert "typer" not in loaded("import asyncrun")


def test_a_library_user_pays_for_no_bar_that_is_not_shown() -> None:
    assert "rich" not in loaded("from asyncrun import run_jobs, asyncio_run, run_async_tasks, batch_gather")
