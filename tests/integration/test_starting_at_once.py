"""Runs that start at the same instant in a folder where nothing has run: cron starts two jobs at a quarter past two."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from asyncrun.ledger.schema import open_connection
from asyncrun.paths import LEDGER, TRACES, open_state_folder
from asyncrun.stores.sqlite_file import open_file
from asyncrun.trace.store import TraceStore

RUNS = 4
ROUNDS = 25
PATIENCE = 300.0
"""Seconds until who does not come to a meeting does not come any more."""

_meeting: Barrier


def meet(barrier: Barrier) -> None:
    global _meeting  # noqa: PLW0603
    _meeting = barrier


def start(folder: Path) -> str:
    """Open all that a run keeps, each file at the same instant as the other runs do; return what went wrong."""
    try:
        _meeting.wait(PATIENCE)
        state = open_state_folder(folder / ".asyncrun")
        _meeting.wait(PATIENCE)
        with closing(open_connection(state / LEDGER)):
            _meeting.wait(PATIENCE)
        with TraceStore(state / TRACES):
            _meeting.wait(PATIENCE)
        with closing(open_file(folder / "store.db")):
            _meeting.wait(PATIENCE)
    except Exception as error:
        _meeting.abort()
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.fixture
def runs() -> Iterator[Pool]:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(RUNS, meet, (spawn.Barrier(RUNS),)) as pool:
        yield pool
        pool.close()
        pool.join()


def test_runs_that_start_at_once_in_a_new_folder_all_get_their_files(runs: Pool, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert runs.map(start, [folder] * RUNS, chunksize=1) == [""] * RUNS
        assert (folder / ".asyncrun" / ".gitignore").read_text() == "*\n"
