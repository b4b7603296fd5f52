"""Batches that are committed together are found as if each had come alone."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import numpy as np

from asyncrun.ledger.batches import BATCHES_AT_ONCE
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import TRUNCATED, Finished, Ledger
from asyncrun.records import Space, text_key

SPACES = (Space("local", "a"), Space("local", "b"))


NUMBERS = range(2 * BATCHES_AT_ONCE + 3)


def test_batches_that_waited_together_keep_their_own_vectors_spaces_and_flags(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        asyncio.run(put_together(ledger))
        for number in NUMBERS:
            index = ledger.index(SPACES[number % 2])
            positions = index.find(keys_array(b"".join(batch(number).keys)))
            assert [vector.tolist() for vector in ledger.vectors(index, positions)] == batch(number).vectors.tolist()
            assert index.flags(positions).tolist() == batch(number).flags
            assert ledger.index(SPACES[1 - number % 2]).find(keys_array(batch(number).keys[0])).tolist() == [-1]


async def put_together(ledger: Ledger) -> None:
    disk = threading.Event()
    busy = asyncio.create_task(ledger.write(lambda connection: waited_for(disk)))
    puts = [asyncio.create_task(ledger.put(SPACES[number % 2], batch(number))) for number in NUMBERS]
    await asyncio.sleep(0)
    disk.set()
    await asyncio.gather(busy, *puts)


def batch(number: int) -> Finished:
    keys = [text_key(f"{number} {place}") for place in range(2)]
    return Finished(keys, np.array([[number, 1], [number, 2]], dtype=np.float32), [0, TRUNCATED if number % 3 == 0 else 0])


def waited_for(disk: threading.Event) -> None:
    assert disk.wait(30)
