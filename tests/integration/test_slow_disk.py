"""A disk that keeps everybody waiting: the loop goes on, and no more waits for it than the queue holds."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks import CallbackManager
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.outputs import JobOutput
from asyncrun.ledger.group_writer import MOST_WRITES_WAITING
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import Space, text_key
from asyncrun.testing.clock import FakeClock

SPACE = Space("local", "m")
TURNS = 20
"""Turns of the loop during which the disk is busy: a lock on the file keeps the writer waiting as a slow fsync does."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        yield ledger


@pytest.mark.asyncio
async def test_calls_go_on_while_the_disk_is_busy_and_the_writes_are_committed_together(ledger: Ledger, tmp_path: Path) -> None:
    vectors = np.ones((1, 4), dtype=np.float32)
    await ledger.put(SPACE, Finished([text_key("first")], vectors, [0]))

    def busy() -> sqlite3.Connection:
        disk = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
        disk.execute("BEGIN IMMEDIATE")
        return disk

    disk = await asyncio.to_thread(busy)
    taken = 0

    async def put(number: int) -> None:
        nonlocal taken
        await ledger.put(SPACE, Finished([text_key(str(number))], vectors, [0]))
        taken += 1

    number = MOST_WRITES_WAITING * 2
    puts = [asyncio.create_task(put(each)) for each in range(number)]
    for _ in range(TURNS):
        await asyncio.sleep(0.01)
    taken_while_busy = taken
    await asyncio.to_thread(disk.close)
    await asyncio.gather(*puts)
    assert taken_while_busy == 0
    assert taken == number
    index = await asyncio.to_thread(ledger.index, SPACE)
    assert (index.find(keys_array(b"".join(text_key(str(each)) for each in range(number)))) >= 0).all()


@pytest.mark.asyncio
async def test_an_output_is_thrown_away_once_its_last_rows_are_written_also_where_nobody_waits_for_them_any_more(tmp_path: Path) -> None:
    """A run that is cancelled leaves the thread that writes; a file that is closed below it may be another one by then."""
    inside, go_on, seen = threading.Event(), threading.Event(), []

    class Slow:
        def write(self, row: Mapping[str, Any]) -> None:
            inside.set()
            assert go_on.wait(60)
            seen.append("written")

        def commit(self) -> None:
            seen.append("committed")

        def abort(self) -> None:
            seen.append("thrown away")

    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        context = JobContext("job", "jobs.yaml/job", ledger, StopRequest(), FakeClock(), CallbackManager())

        async def write() -> None:
            async with JobOutput(tmp_path / "out", "out", "slow", Slow).writing("mark", context) as unfinished:
                await asyncio.to_thread(unfinished.write, [{"id": "a"}])

        writing = asyncio.create_task(write())
        await asyncio.to_thread(inside.wait, 60)
        writing.cancel()
        await asyncio.wait([writing], timeout=0.2)  # long enough for one that does not wait
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert seen == ["written", "thrown away"]
