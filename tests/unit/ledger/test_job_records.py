"""A refresh is opened once, goes on after a kill, and does not repeat what is finished."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.job_records import Generation, generation_of, open_refresh, record_finished
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import Space, text_key

SPACE = Space("local", "m")


async def put(ledger: Ledger, text: str) -> None:
    await ledger.put(SPACE, Finished([text_key(text)], np.ones((1, 2), np.float32), [0]))


async def generation(ledger: Ledger, job: str) -> Generation:
    return await asyncio.to_thread(generation_of, ledger, job)


async def finished(ledger: Ledger, since: int) -> int:
    return len(await asyncio.to_thread(ledger.index, SPACE, since))


async def finish(ledger: Ledger, job: str) -> None:
    await record_finished(ledger, job, SPACE)


@pytest.mark.asyncio
async def test_what_was_finished_before_does_not_count_until_the_job_has_finished(ledger: Ledger) -> None:
    await put(ledger, "one")
    await open_refresh(ledger, ["a"])
    opened = await generation(ledger, "a")
    assert (opened.number, await finished(ledger, opened.since)) == (1, 0)
    await put(ledger, "two")
    assert await finished(ledger, opened.since) == 1
    await finish(ledger, "a")
    done = await generation(ledger, "a")
    assert (done.number, await finished(ledger, done.since)) == (1, 2)


@pytest.mark.asyncio
async def test_one_that_was_killed_goes_on_and_one_that_has_finished_begins_anew(ledger: Ledger) -> None:
    await open_refresh(ledger, ["a"])
    await put(ledger, "one")
    before = await generation(ledger, "a")
    await open_refresh(ledger, ["a"])
    assert await generation(ledger, "a") == before
    await finish(ledger, "a")
    await open_refresh(ledger, ["a"])
    assert (await generation(ledger, "a")).number == 2


@pytest.mark.asyncio
async def test_of_several_jobs_those_that_are_done_are_not_made_again(ledger: Ledger) -> None:
    await open_refresh(ledger, ["a", "b"])
    await finish(ledger, "a")
    await open_refresh(ledger, ["b", "a"])
    assert [(await generation(ledger, job)).number for job in ("a", "b")] == [1, 1]
    await finish(ledger, "b")
    await open_refresh(ledger, ["a", "b"])
    assert [(await generation(ledger, job)).number for job in ("a", "b")] == [2, 2]


@pytest.mark.asyncio
async def test_what_takes_the_place_of_a_damaged_batch_counts_for_a_refresh_that_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", warn=lambda words: None)
    try:
        await put(ledger, "old")
        await put(ledger, "newest")
        await open_refresh(ledger, ["a"])
        held = await asyncio.to_thread(ledger.index, SPACE)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
            other.execute("UPDATE batches SET vectors = zeroblob(length(vectors)) WHERE id = 2")
        with pytest.raises(DamagedStateError):
            await asyncio.to_thread(ledger.vectors, held, held.find(keys_array(text_key("newest"))))
        await put(ledger, "new")
        assert await finished(ledger, (await generation(ledger, "a")).since) == 1
        with pytest.raises(DamagedStateError):  # never the vector of another text
            await asyncio.to_thread(ledger.vectors, held, held.find(keys_array(text_key("newest"))))
        assert await finished(ledger, 0) == 2
    finally:
        await asyncio.to_thread(ledger.close)
