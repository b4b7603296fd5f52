"""Commands that are started at the same instant: each does its work as if it were alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from asyncrun.cli import main
from asyncrun.paths import LEDGER
from asyncrun.testing.server import FakeServer

AT_ONCE = 3
ROUNDS = 5
CRONTAB = """#!/bin/sh
case "$1" in
-l) cat "$HOME/tab" ;;
-) cat >"$HOME/tab.$$" && mv "$HOME/tab.$$" "$HOME/tab" ;;
esac
"""

_meeting: Barrier


def meet(barrier: Barrier) -> None:
    global _meeting  # noqa: PLW0603
    _meeting = barrier


def command(folder: Path, *words: str) -> str:
    """Run a command line in a folder when the others are ready, too; return what went wrong."""
    os.chdir(folder)
    sys.argv = ["asyncrun", *words]
    _meeting.wait(60)
    said = TextIOWrapper(BytesIO())
    with redirect_stdout(TextIOWrapper(BytesIO())), redirect_stderr(said):
        try:
            main()
        except SystemExit as ending:
            said.seek(0)
            return said.read() if ending.code else ""
    return ""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a user, whose crontab is the file `tab` in it."""
    folder = tmp_path_factory.mktemp("home")
    program = folder / "crontab"
    program.write_text(CRONTAB)
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def processes(home: Path) -> Iterator[Pool]:
    spawn = multiprocessing.get_context("spawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{home}:{os.environ['PATH']}")
        patch.setenv("HOME", str(home))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        with spawn.Pool(AT_ONCE, meet, (spawn.Barrier(AT_ONCE),)) as pool:
            yield pool
            pool.close()
            pool.join()


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[Path]:
    """A folder with job files, each of which has run."""
    folder = tmp_path / "finished"
    folder.mkdir()
    with FakeServer().in_thread() as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number in range(AT_ONCE):
            embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
            job = {
                "name": "notes",
                "kind": "embed",
                "input": {"items": [f"text {number}"]},
                "output": f"{number}.jsonl",
                "embedder": embedder,
            }
            (folder / f"{number}.yaml").write_text(json.dumps({"jobs": [job]}))
            patch.setattr(sys, "argv", ["asyncrun", "run", f"{number}.yaml", "--quiet"])
            with pytest.raises(SystemExit) as ending:
                main()
            assert not ending.value.code
        yield folder


def test_lines_that_are_added_and_removed_at_once_are_all_in_the_crontab_or_gone(processes: Pool, home: Path, finished: Path) -> None:
    tab = home / "tab"
    tab.write_text("MAILTO=me\n")
    for number in range(ROUNDS):
        add = ("cron", "add", "--at", "@daily", "--name")
        lines = [(finished, *add, f"{number}-{each}", f"{each}.yaml") for each in range(AT_ONCE - 1)]
        old = (finished, "cron", "remove", "old")
        tab.write_text(f"{tab.read_text()}@daily true # asyncrun:old\n")
        assert processes.starmap(command, [*lines, old], chunksize=1) == [""] * AT_ONCE
        names = {line.rpartition(":")[2] for line in tab.read_text().splitlines()[1:]}
        assert names == {f"{there}-{each}" for there in range(number + 1) for each in range(AT_ONCE - 1)}
    assert tab.read_text().startswith("MAILTO=me\n")


def damage(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        [(page,)] = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches'")
        [(size,)] = database.execute("PRAGMA page_size")
    with ledger.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 60)


def test_runs_that_find_the_ledger_damaged_at_once_all_end_well(processes: Pool, finished: Path, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        shutil.copytree(finished, folder)
        damage(folder / ".asyncrun" / LEDGER)
        runs = [(folder, "run", f"{each}.yaml", "--quiet") for each in range(AT_ONCE)]
        assert processes.starmap(command, runs, chunksize=1) == [""] * AT_ONCE
        assert (folder / ".asyncrun" / f"{LEDGER}.damaged").exists()


def test_a_folder_is_cleaned_for_several_job_files_at_once(processes: Pool, finished: Path) -> None:
    for _ in range(ROUNDS):
        cleanings = [(finished, "clean", f"{each}.yaml") for each in range(AT_ONCE)]
        assert processes.starmap(command, cleanings, chunksize=1) == [""] * AT_ONCE
