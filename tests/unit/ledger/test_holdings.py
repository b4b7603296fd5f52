"""The spaces of a ledger: how large they are, and what is left when some are removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.holdings import find_superseded, remove_from_ledger, space_sizes
from asyncrun.ledger.job_records import generation_of, open_refresh
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import Space, text_key

KEPT, GONE = Space("local", "kept"), Space("local", "gone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def put(path: Path, space: Space, count: int, dimensions: int = 64) -> None:
    ledger = Ledger(path)
    keys = [text_key(f"text {number}") for number in range(count)]
    await ledger.put(space, Finished(keys, np.ones((count, dimensions), np.float32), [0] * count))
    await asyncio.to_thread(ledger.close)


@pytest.mark.asyncio
async def test_sizes_are_told_the_largest_first(path: Path) -> None:
    await put(path, KEPT, 10)
    await put(path, GONE, 100)
    largest, smallest = await asyncio.to_thread(space_sizes, path)
    assert (largest.fingerprint, largest.vectors, largest.bytes) == (GONE.fingerprint, 100, 100 * (16 + 64 * 4 + 1))
    assert (smallest.description, smallest.vectors) == (KEPT.describe(), 10)


@pytest.mark.asyncio
async def test_what_is_removed_makes_the_file_smaller_and_the_rest_stays(path: Path) -> None:
    await put(path, KEPT, 10)
    await put(path, GONE, 5000)
    before = path.stat().st_size
    await asyncio.to_thread(remove_from_ledger, path, [GONE.fingerprint, "unknown"])
    assert [space.fingerprint for space in await asyncio.to_thread(space_sizes, path)] == [KEPT.fingerprint]
    assert path.stat().st_size < before / 5
    ledger = Ledger(path)
    index = await asyncio.to_thread(ledger.index, KEPT)
    assert len(await asyncio.to_thread(ledger.vectors, index, np.arange(10))) == 10
    await asyncio.to_thread(ledger.close)


@pytest.mark.asyncio
async def test_a_refresh_that_goes_on_still_sees_what_it_makes_after_the_newest_vectors_were_removed(path: Path) -> None:
    await put(path, KEPT, 10)
    for _ in range(5):
        await put(path, GONE, 10)
    ledger = Ledger(path)
    await open_refresh(ledger, ["jobs.yaml/notes"])
    await asyncio.to_thread(ledger.close)
    await asyncio.to_thread(remove_from_ledger, path, [GONE.fingerprint])
    await put(path, KEPT, 7)
    ledger = Ledger(path)
    since = (await asyncio.to_thread(generation_of, ledger, "jobs.yaml/notes")).since
    assert len(await asyncio.to_thread(ledger.index, KEPT, since)) == 7
    await asyncio.to_thread(ledger.close)


@pytest.mark.asyncio
async def test_of_vectors_that_were_made_again_the_older_go_and_a_batch_that_is_still_needed_stays(path: Path) -> None:
    for count in (10, 3, 7):
        await put(path, KEPT, count)
    await put(path, GONE, 10)
    await put(path, GONE, 10)
    found = await asyncio.to_thread(find_superseded, path, [GONE.fingerprint])
    assert (found.vectors, found.bytes) == (3, 3 * (16 + 64 * 4 + 1))
    await asyncio.to_thread(remove_from_ledger, path, [], found.batches)
    sizes = {space.fingerprint: space.vectors for space in await asyncio.to_thread(space_sizes, path)}
    assert sizes == {KEPT.fingerprint: 17, GONE.fingerprint: 20}
    ledger = Ledger(path)
    index = await asyncio.to_thread(ledger.index, KEPT)
    assert len(await asyncio.to_thread(ledger.vectors, index, np.arange(10))) == 10
    await asyncio.to_thread(ledger.close)


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    path.write_text("no ledger, but long enough to be looked at " * 20)
    with pytest.raises(DamagedStateError, match=str(path)):
        space_sizes(path)
