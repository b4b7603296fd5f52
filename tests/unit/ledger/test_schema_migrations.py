"""A ledger of an older version is brought forward at its first opening, with all that is in it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import TryLaterError
from asyncrun.ledger.answers import find_answers
from asyncrun.ledger.checksums import add_functions, checksum, keys_sum, vectors_sum
from asyncrun.ledger.connection import open_to_look
from asyncrun.ledger.job_records import (
    Amount,
    Generation,
    SpendingAccount,
    Stopped,
    generation_of,
    known_failures,
    last_space,
    set_failures,
)
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.ledger.repair import repair_ledger
from asyncrun.ledger.schema import MIGRATIONS
from asyncrun.ledger.spaces import known_servers, token_rate
from asyncrun.records import Answer, Space, text_key

SPACE = Space("local", "m")
KEY = text_key("one")


BOUND_CHECKSUMS = 7
"""The version since which a checksum binds a batch to its number and its space."""


def write_ledger(path: Path, version: int) -> None:
    """Write what that version wrote for one vector."""
    vector = np.arange(3, dtype="<f4").tobytes()
    with closing(sqlite3.connect(path)) as connection, connection:
        add_functions(connection)
        for script in MIGRATIONS[:version]:
            connection.executescript(script)
        connection.execute("INSERT INTO spaces (fingerprint, description) VALUES (?, ?)", (SPACE.fingerprint, SPACE.describe()))
        of_keys, of_vectors = checksum(KEY), checksum(vector)
        if version >= BOUND_CHECKSUMS:
            of_keys = keys_sum(1, SPACE.fingerprint, 3, KEY, b"\x01")
            of_vectors = vectors_sum(of_keys, 1, vector)
        row = (1, 1, 3, KEY, of_keys, vector, of_vectors, b"\x01")
        connection.execute(
            "INSERT INTO batches (space, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        connection.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_ledger_is_read_and_written_on(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    write_ledger(path, version)
    with closing(Ledger(path)) as ledger:
        new = text_key("two")
        asyncio.run(ledger.put(SPACE, Finished([new], np.ones((1, 3), dtype=np.float32), [0])))
        index = ledger.index(SPACE)
        vectors = ledger.vectors(index, index.find(keys_array(KEY + new)))
    assert [vector.tolist() for vector in vectors] == [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait for another who writes."""
    monkeypatch.setattr("asyncrun.ledger.connection.BUSY_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_who_looks_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(open_to_look(path)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        with closing(open_to_look(path)) as looking:
            assert looking.execute("SELECT count(*) FROM batches").fetchall() == [(0,)]


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_another_process_keeps_writing_is_one_for_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_ledger(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as writing, closing(Ledger(path)) as ledger:
        writing.execute("PRAGMA journal_mode = WAL")
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryLaterError, match=r"another process has been writing to the ledger .*ledger\.db"):
            known_failures(ledger, "job")
        writing.execute("ROLLBACK")
        assert known_failures(ledger, "job") == {}
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryLaterError, match="another process has been writing"):
            asyncio.run(set_failures(ledger, "job", []))


BEFORE_CHECKSUMS = 6
"""The last version whose checksums were those of the blobs alone."""
SMALL = {
    "failures": ("job", "x", SPACE.fingerprint, KEY, "in.jsonl", 1, "refused", "no", 2),
    "spending": ("job", 7, 0.5, 9, None),
    "token_rates": (SPACE.fingerprint, 12, 3),
    "refreshes": ("job", 2, 0, "job", 1, 0),
    "job_spaces": ("job", SPACE.describe()),
    "places": (SPACE.fingerprint, "here"),
}


def test_what_an_older_version_knew_besides_vectors_is_kept(tmp_path: Path) -> None:
    path, named = tmp_path / "ledger.db", list[str]()
    write_ledger(path, BEFORE_CHECKSUMS)
    answer = b'{"text":"yes","finish_reason":"stop","input_tokens":1,"output_tokens":2}'
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, row in SMALL.items():
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO answers (key, answer, answer_sum, space) VALUES (?, ?, ?, 1)", (KEY, answer, checksum(answer)))
        connection.execute("INSERT INTO flagged SELECT id, flags FROM batches")
    with closing(Ledger(path, named.append)) as ledger:
        assert list(known_failures(ledger, "job")) == ["x"]
        assert SpendingAccount(ledger, "job").balance() == (Amount(7, 0.5), Stopped(9, None))
        assert token_rate(ledger, SPACE) == (3, 12)
        assert generation_of(ledger, "job") == Generation(2)
        assert last_space(ledger, "job") == {"model": "m", "provider": "local"}
        assert known_servers(ledger, SPACE) == {"here"}
        assert find_answers(ledger, [KEY]) == {KEY: Answer("yes", "stop", 1, 2)}
        index = ledger.index(SPACE)
        assert index.flags(index.find(keys_array(KEY))).tolist() == [1]
    assert named == []
    assert repair_ledger(path, lambda: None) is None


def test_what_did_not_fit_its_checksum_before_does_not_fit_it_afterwards(tmp_path: Path) -> None:
    path, named = tmp_path / "ledger.db", list[str]()
    write_ledger(path, BEFORE_CHECKSUMS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE batches SET keys = zeroblob(16)")
    with closing(Ledger(path, named.append)) as ledger:
        assert len(ledger.index(SPACE)) == 0
    assert ["batch 1 of the ledger does not fit" in words for words in named] == [True]


def test_a_damaged_ledger_of_an_older_version_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_ledger(path, BEFORE_CHECKSUMS)
    keys = [text_key(f"{number}") for number in range(40)]
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, key in enumerate(keys):
            vector = np.full(3000, number, dtype="<f4").tobytes()
            values = (1, 1, 3000, key, checksum(key), vector, checksum(vector), b"\0")
            connection.execute(f"INSERT INTO batches VALUES (NULL, {', '.join('?' * len(values))})", values)
        connection.execute("DELETE FROM batches WHERE id = 1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    told = repair_ledger(path, lambda: None)
    assert told is not None
    assert told.batches > 20
    with closing(Ledger(path)) as ledger:
        index = ledger.index(SPACE)
        positions = index.find(keys_array(b"".join(keys)))
        found = np.flatnonzero(positions >= 0)
        assert len(found) == told.batches
        for number, vector in zip(found.tolist(), ledger.vectors(index, positions[found]), strict=True):
            assert (vector == number).all()
    assert repair_ledger(path, lambda: None) is None


def test_a_flipped_bit_of_the_version_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for version in [len(MIGRATIONS) ^ 1 << bit for bit in range(31)]:
        path.unlink(missing_ok=True)
        write_ledger(path, BEFORE_CHECKSUMS)
        with closing(Ledger(path)) as ledger:
            assert len(ledger.index(SPACE)) == 1
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        assert repair_ledger(path, lambda: None) is not None, version
        with closing(Ledger(path)) as ledger:
            assert len(ledger.index(SPACE)) == 1
