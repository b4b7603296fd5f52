"""Commands that are started at the same instant: each does its work as if it were alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from asyncrun.state_folder import LEDGER, STATE_FOLDER, TRACES
from asyncrun.testing.server import FakeServer
from asyncrun.trace.store import TraceStore
from tests.depth import times

AT_ONCE = 3
ROUNDS = times(quick=2, deep=5)
CRONTAB = """#!/bin/sh
case "$1" in
-l) cat "$HOME/tab" ;;
-) cat >"$HOME/tab.$$" && mv "$HOME/tab.$$" "$HOME/tab" ;;
esac
"""


class Processes:
    """Processes that are all ready, so that their commands begin at the same instant."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        program = [sys.executable, str(Path(__file__).with_name("at_once.py"))]
        self._all = [Popen(program, stdin=PIPE, stdout=PIPE, text=True, env=environ) for _ in range(AT_ONCE)]
        self._answers()

    def run(self, *commands: tuple[Path, str]) -> None:
        """Run command lines, each in its folder, at once, and see that each of them succeeds."""
        at = time.monotonic() + 0.005
        for process, (folder, words) in zip(self._all, commands, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps({"at": at, "folder": str(folder), "words": words.split()}) + "\n")
            process.stdin.flush()
        assert self._answers() == [""] * AT_ONCE

    def _answers(self) -> list[str]:
        return [json.loads(process.stdout.readline()) for process in self._all if process.stdout is not None]

    def close(self) -> None:
        for process in self._all:
            process.communicate()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a user, whose crontab is the file `tab` in it."""
    folder = tmp_path_factory.mktemp("home")
    program = folder / "crontab"
    program.write_text(CRONTAB)
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def processes(home: Path) -> Iterator[Processes]:
    kept = {name: value for name, value in os.environ.items() if name != "XDG_CONFIG_HOME"}
    with closing(Processes(kept | {"HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}"})) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer) -> Path:
    """A folder with job files that share a store."""
    folder = tmp_path / "folder"
    folder.mkdir()
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    for each in range(AT_ONCE):
        job = {"kind": "embed", "name": "notes", "input": {"items": [f"text {each}"]}, "output": f"{each}.jsonl"}
        store = {"store": {"type": "sqlite", "path": "store.db"}, "collection": f"notes-{each}"}
        filling = {"kind": "ingest", "name": "fill", "input": {"items": [f"text {each}"]}, **store}
        jobs = [{**described, "embedder": embedder} for described in (job, filling)]
        (folder / f"{each}.yaml").write_text(json.dumps({"jobs": jobs}))
    return folder


@pytest.fixture
def finished(processes: Processes, folder: Path) -> Path:
    """A folder with job files, each of which has run."""
    processes.run(*runs(folder))
    return folder


def runs(folder: Path) -> list[tuple[Path, str]]:
    return [(folder, f"run {each}.yaml --quiet") for each in range(AT_ONCE)]


def test_runs_that_begin_at_once_in_a_new_folder_have_outputs_and_traces_each(processes: Processes, folder: Path, tmp_path: Path) -> None:
    for number in range(times(quick=3, deep=15)):
        new = tmp_path / str(number)
        shutil.copytree(folder, new)
        processes.run(*runs(new))
        assert [len((new / f"{each}.jsonl").read_text().splitlines()) for each in range(AT_ONCE)] == [1] * AT_ONCE
        assert (new / STATE_FOLDER / ".gitignore").read_text() == "*\n"
        with TraceStore(new / STATE_FOLDER / TRACES, read_only=True) as store:
            assert sorted((run.job_file, run.status) for run in store.runs()) == [(f"{each}.yaml", "succeeded") for each in range(AT_ONCE)]


def test_lines_that_are_added_and_removed_at_once_are_all_in_the_crontab_or_gone(processes: Processes, home: Path, folder: Path) -> None:
    tab = home / "tab"
    tab.write_text("MAILTO=me\n")
    for number in range(ROUNDS):
        lines = [(folder, f"cron add --at @daily --name {number}-{each} {each}.yaml") for each in range(AT_ONCE - 1)]
        tab.write_text(f"{tab.read_text()}@daily true # asyncrun:old\n")
        processes.run(*lines, (folder, "cron remove old"))
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


def test_runs_that_find_the_ledger_damaged_at_once_all_end_well(processes: Processes, finished: Path, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        shutil.copytree(finished, folder)
        damage(folder / STATE_FOLDER / LEDGER)
        processes.run(*runs(folder))
        assert (folder / STATE_FOLDER / f"{LEDGER}.damaged").exists()


def test_who_must_be_alone_in_a_folder_waits_for_the_others_who_must(processes: Processes, finished: Path) -> None:
    taking_in = (finished, "ledger import 2.jsonl -f 2.yaml --job notes")
    for _ in range(ROUNDS):
        processes.run((finished, "clean 0.yaml"), (finished, "clean 1.yaml"), taking_in)
    with TraceStore(finished / STATE_FOLDER / TRACES, read_only=True) as store:
        assert len(store.runs()) == AT_ONCE
