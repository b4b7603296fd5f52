"""What a ledger holds, and how large that is; what nobody needs of it, and its removal.

Who asks only how large it is needs no NumPy: what takes it is imported where it is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from asyncrun.ledger.connection import check_sound, explained, open_connection, sound_ledger
from asyncrun.ledger.schema import lower_since, newest_id
from asyncrun.records import KEY_BYTES
from asyncrun.sqlite_files import primary_code


@dataclass(frozen=True, slots=True)
class SpaceSize:
    """How much a ledger holds of a space: `description` is that of `Space`, `bytes` are those of keys, vectors and answers."""

    fingerprint: str
    description: str
    vectors: int
    bytes: int
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Superseded:
    """Batches of a ledger of which every vector was made again: their numbers, how many vectors they hold, and in how many bytes."""

    batches: tuple[int, ...] = ()
    vectors: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """How much a collection of a store (its path, or its type) holds; `bytes` is None where the store does not tell."""

    name: str
    store: str
    documents: int
    chunks: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class CleanedBatches:
    """Of how many collected batches `files` were removed at providers, or would be; `kept` says of how many they stay, and why."""

    batches: int = 0
    files: int = 0
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was removed of old runs (their ids), unused spaces, vectors that were made again, and collections; `dry_run`: what would be.

    `freed` is how many bytes ledger and traces lost. `kept` says why no space and no collection is removed, None when all job files were
    looked through.
    """

    dry_run: bool
    runs: tuple[str, ...] = ()
    spaces: tuple[SpaceSize, ...] = ()
    freed: int = 0
    kept: str | None = None
    superseded: Superseded = Superseded()
    collections: tuple[CollectionSize, ...] = ()
    batches: CleanedBatches = CleanedBatches()


def space_sizes(path: Path) -> list[SpaceSize]:
    """Return the spaces of a ledger, the largest first. Blocks. Raises StorageError and DamagedStateError."""
    statement = (
        "SELECT fingerprint, description, coalesce(v.count, 0), coalesce(v.bytes, 0) + coalesce(a.bytes, 0) AS size, coalesce(a.count, 0)"
        " FROM spaces LEFT JOIN (SELECT space, sum(count) AS count, sum(length(keys) + length(vectors) + length(flags)) AS bytes"
        " FROM batches GROUP BY space) v ON v.space = spaces.id LEFT JOIN (SELECT space, count(*) AS count,"
        " sum(length(key) + length(answer)) AS bytes FROM answers GROUP BY space) a ON a.space = spaces.id ORDER BY size DESC, fingerprint"
    )
    with sound_ledger(path) as connection:
        return [SpaceSize(*row) for row in connection.execute(statement)]


def find_superseded(path: Path, removed: Collection[str] = ()) -> Superseded:
    """Return the batches whose vectors were all made again, as by a refresh; not those of the spaces that are removed. Blocks.

    Raises StorageError and DamagedStateError.
    """
    found = Superseded()
    with sound_ledger(path) as connection:
        for (fingerprint,) in connection.execute("SELECT fingerprint FROM spaces").fetchall():
            if fingerprint not in removed:
                here = _superseded(connection, fingerprint)
                found = Superseded(found.batches + here.batches, found.vectors + here.vectors, found.bytes + here.bytes)
    return found


def _superseded(connection: sqlite3.Connection, fingerprint: str) -> Superseded:
    import numpy as np

    from asyncrun.ledger.batches import read_keys
    from asyncrun.ledger.key_index import KeyIndex, keys_array

    batches, keys, sizes = [], [], []
    for found in read_keys(connection.execute, fingerprint, 0, newest_id(connection, "batches")):
        if found.whole and found.length:  # one that is damaged is named and dropped by the run that needs it
            batches.append(found.batch)
            keys.append(found.keys)
            sizes.append(found.size)
    counts = np.array([len(blob) // KEY_BYTES for blob in keys], dtype=np.int64)
    numbers = np.array(batches, dtype=np.int64)
    index = KeyIndex(keys_array(b"".join(keys)), np.repeat(numbers, counts))
    current, _ = index.locate(np.arange(len(index)))
    gone = ~np.isin(numbers, current)
    held = counts[gone] * (KEY_BYTES + 1)  # a key and a flag for each vector
    return Superseded(tuple(numbers[gone].tolist()), int(counts[gone].sum()), int(held.sum() + np.array(sizes, dtype=np.int64)[gone].sum()))


def remove_from_ledger(path: Path, fingerprints: Collection[str], batches: Collection[int] = ()) -> None:
    """Remove spaces with their vectors and answers, and batches, and make the file smaller; nobody else may use the ledger. Blocks.

    A disk that is too full to make the file smaller is no error: its room is used again. Raises StorageError and DamagedStateError.
    """
    with closing(open_connection(path)) as connection:
        try:
            check_sound(connection, path)
            _remove(connection, fingerprints, batches)
            _shrink(connection)
        except sqlite3.DatabaseError as error:
            raise explained(error, path) from error


def _remove(connection: sqlite3.Connection, fingerprints: Collection[str], batches: Collection[int]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for fingerprint in fingerprints:
            for table in ("batches", "answers"):
                own = f"DELETE FROM {table} NOT INDEXED WHERE space = (SELECT id FROM spaces WHERE fingerprint = ?)"
                connection.execute(own, (fingerprint,))
            connection.execute("DELETE FROM spaces WHERE fingerprint = ?", (fingerprint,))
        connection.executemany("DELETE FROM batches WHERE id = ?", ((batch,) for batch in batches))
        connection.execute("DELETE FROM flagged WHERE batch NOT IN (SELECT id FROM batches)")
        lower_since(connection)


def _shrink(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_FULL:
            raise
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
