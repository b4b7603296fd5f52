"""A ledger of an older version is brought forward at its first opening, with all that is in it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import TryLaterError
from asyncrun.ledger.index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.ledger.schema import MIGRATIONS, checksum, open_to_look
from asyncrun.records import Space, content_key

SPACE = Space("local", "m")
KEY = content_key("one")


def write_ledger(path: Path, version: int) -> None:
    """Write what that version wrote for one vector."""
    vector = np.arange(3, dtype="<f4").tobytes()
    with closing(sqlite3.connect(path)) as connection, connection:
        for script in MIGRATIONS[:version]:
            connection.executescript(script)
        connection.execute("INSERT INTO spaces (fingerprint, description) VALUES (?, ?)", (SPACE.fingerprint, SPACE.describe()))
        row = (1, 1, 3, KEY, checksum(KEY), vector, checksum(vector), b"\x01")
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
        new = content_key("two")
        asyncio.run(ledger.put(SPACE, Finished([new], np.ones((1, 3), dtype=np.float32), [0])))
        index = ledger.index(SPACE)
        vectors = ledger.vectors(index, index.find(keys_array(KEY + new)))
    assert [vector.tolist() for vector in vectors] == [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait for another who writes."""
    monkeypatch.setattr("asyncrun.ledger.schema.BUSY_SECONDS", 0.0)


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
            ledger.failures("job")
        writing.execute("ROLLBACK")
        assert ledger.failures("job") == {}
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryLaterError, match="another process has been writing"):
            asyncio.run(ledger.set_failures("job", []))
