"""A flipped bit of the ledger is never believed: the run ends right, or says so and the next one mends it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

from .conftest import Finished, drawn_bits, flipped, how_they_ended, run

LEDGER = ".asyncrun/ledger.db"
PAGE = 8192


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_a_flipped_bit_anywhere_never_gives_a_wrong_output_and_is_mended(embedded: Finished) -> None:
    data = embedded.read(LEDGER)
    ends = []
    for bit in drawn_bits(data):
        print(f"byte {bit // 8} of {len(data)}, bit {bit % 8}")
        embedded.damage(LEDGER, flipped(data, bit))
        ends.append(embedded.mended())
    print(how_they_ended(ends))


def test_a_batch_that_its_index_loses_is_read_all_the_same(embedded: Finished) -> None:
    """One bit in an entry of the index, and SQLite finds a batch under another space, or not at all."""
    data = embedded.read(LEDGER)
    root = page_of(data, "batches_by_space")
    places = [at for at in range(root, root + PAGE) if any(data[at : at + 4])][-120:]
    for at in places[:: len(places) // 12]:
        embedded.damage(LEDGER, flipped(data, at * 8 + 1))
        embedded.mended()


@pytest.mark.parametrize("column", ["space", "id"])
def test_a_batch_that_says_another_space_or_number_never_gives_its_vectors_to_another_model(
    embedded: Finished, server: FakeServer, column: str
) -> None:
    before = len(server.sent_texts)
    embedded.damage(LEDGER, embedded.read(LEDGER))
    with closing(sqlite3.connect(embedded.folder / LEDGER, isolation_level=None)) as connection:
        first, other = two_models(connection)
        value = {"space": other, "id": 1000}[column]
        connection.execute(f"UPDATE batches SET {column} = ? WHERE id = (SELECT min(id) FROM batches WHERE space = ?)", (value, first))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ends = embedded.mended()
    assert any("does not fit its checksum: it is dropped" in ended.said for ended in ends)
    assert len(set(server.sent_texts[before:])) == 4


def test_one_bit_of_a_batchs_space_costs_nothing(embedded: Finished, server: FakeServer) -> None:
    """Its index says another number than the row, and the checksum which of them is right."""
    data, before = embedded.read(LEDGER), len(server.sent_texts)
    with closing(sqlite3.connect(embedded.folder / LEDGER)) as connection:
        space, other = two_models(connection)
        [(count, keys)] = connection.execute("SELECT count, keys FROM batches WHERE space = ? ORDER BY id LIMIT 1", (space,)).fetchall()
    at = data.rindex(bytes((space, count, 16)) + keys)  # space, count, dimensions and keys follow one another
    assert (space ^ other).bit_count() == 1
    embedded.damage(LEDGER, flipped(data, at * 8 + (space ^ other) - 1))
    ends = embedded.mended()
    assert "the ledger was damaged and is set aside" in ends[0].said
    assert "no batch is known to be lost" in ends[0].said
    assert len(server.sent_texts) == before


@pytest.mark.parametrize("words", ["plan", "ledger stats", "ledger export -o moved.jsonl", "export jobs.yaml first -o rows.jsonl"])
def test_who_looks_at_a_ledger_whose_tables_and_indexes_differ_is_told_who_mends_it(embedded: Finished, words: str) -> None:
    data = embedded.read(LEDGER)
    root = page_of(data, "batches_by_space")
    entry = root + int.from_bytes(data[root + 8 : root + 10], "big")
    embedded.damage(LEDGER, flipped(data, (entry + 4) * 8 + 1))
    looked = run(embedded.folder, *words.split())
    assert looked.code == 74, looked
    assert "`asyncrun run` sets it aside and keeps what is whole" in looked.said
    embedded.mended()
    assert run(embedded.folder, *words.split()).code in (0, embedded.code)


def two_models(connection: sqlite3.Connection) -> list[int]:
    """Return the numbers of the two spaces that have vectors of the same items."""
    return [space for (space,) in connection.execute("SELECT space FROM batches GROUP BY space HAVING count(*) > 9 ORDER BY space")]


def page_of(data: bytes, name: str) -> int:
    """Return where the first page of a table or an index begins."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(bytes(data[:18]) + b"\1\1" + bytes(data[20:]))  # in memory there is no log
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    return (int(root) - 1) * PAGE
