"""Spaces of a ledger: what is known of one, how large each is, and the removal of what nobody needs.

Who asks only how large they are needs no NumPy: what takes it is imported where it is used.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.checksums import whole_row, with_sum
from asyncrun.ledger.connection import check_sound, explained, open_connection, sound_ledger
from asyncrun.ledger.schema import FLOAT_BYTES, lower_since, newest_id
from asyncrun.records import KEY_BYTES, Space, text_key
from asyncrun.results import SpaceSize, Superseded
from asyncrun.sqlite_files import primary_code

if TYPE_CHECKING:
    from asyncrun.ledger.ledger import Ledger
    from asyncrun.records import Vectors


def token_rate(ledger: Ledger, space: Space) -> tuple[int, int]:
    """Return how many tokens servers have counted in a space, and in how many bytes; zeros when none did. Blocks."""
    rows = ledger.whole_rows("token_rates", "fingerprint = ?", (space.fingerprint,), then="tokens are counted anew")
    return (rows[0][2], rows[0][1]) if rows else (0, 0)


def add_token_rate(connection: sqlite3.Connection, space: Space, tokens: int, size: int) -> None:
    """Add tokens that a server has counted in so many bytes."""
    _, bytes_before, before = whole_row(connection, "token_rates", "fingerprint", space.fingerprint) or ("", 0, 0)
    row = with_sum(space.fingerprint, bytes_before + size, before + tokens)
    connection.execute("INSERT OR REPLACE INTO token_rates VALUES (?, ?, ?, ?)", row)


def space_of(ledger: Ledger, fingerprint: str) -> Mapping[str, Any] | None:
    """Return what describes a space, None for one that the ledger does not know. Blocks."""
    rows = ledger.read("SELECT description FROM spaces WHERE fingerprint = ? AND description != ''", (fingerprint,))
    return dict(json.loads(rows[0][0])) if rows else None


def known_servers(ledger: Ledger, space: Space) -> frozenset[str]:
    """Return the servers that have served a space, each as `served_by` names it. Blocks."""
    rows = ledger.whole_rows("places", "fingerprint = ?", (space.fingerprint,), then="the place is compared again")
    return frozenset(place for _, place in rows)


async def add_servers(ledger: Ledger, space: Space, new: Iterable[str]) -> None:
    """Remember servers of a space."""
    rows = [with_sum(space.fingerprint, place) for place in new]

    def write(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", rows)

    await ledger.write(write)


def known_dimensions(ledger: Ledger, space: Space) -> int | None:
    """Return how many numbers the vectors of a space have, None when it has none. Blocks."""
    rows = ledger.read(
        "SELECT b.dimensions FROM batches b JOIN spaces s ON s.id = b.space WHERE s.fingerprint = ? AND b.count > 0"
        f" AND length(b.vectors) = b.count * b.dimensions * {FLOAT_BYTES} LIMIT 1",
        (space.fingerprint,),
    )
    return int(rows[0][0]) if rows else None


def vectors_in(ledger: Ledger, description: Mapping[str, Any]) -> int:
    """Return how many vectors the space has that is described so. Blocks."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    [(count,)] = ledger.read(
        "SELECT coalesce(sum(b.count), 0) FROM batches b JOIN spaces s ON s.id = b.space WHERE s.description = ?", (text,)
    )
    return int(count)


def newest_batch(ledger: Ledger, fingerprint: str) -> int:
    """Return the number of the newest batch of a space: it has grown when anything was finished there. Blocks."""
    statement = "SELECT coalesce(max(id), 0) FROM batches WHERE space = (SELECT id FROM spaces WHERE fingerprint = ?)"
    [(newest,)] = ledger.read(statement, (fingerprint,))
    return int(newest)


@dataclass(frozen=True, slots=True)
class SpaceReference:
    """The reference of a space; `sent` is the known text as it is sent."""

    ledger: Ledger
    space: Space
    sent: str

    def known(self) -> tuple[Vectors | None, bool]:
        """Return the vector, None when there is none, and whether the space has vectors at all. Blocks."""
        from asyncrun.ledger.key_index import keys_array

        index = self.ledger.index(self.space)
        positions = index.find(keys_array(text_key(self.sent)))
        if positions[0] < 0:
            return None, len(index) > 0
        try:
            [vector] = self.ledger.vectors(index, positions)
        except DamagedStateError:
            return None, True
        return vector, True

    async def keep(self, vector: Vectors) -> None:
        """Make a vector, shape (dimensions,), the reference; returns when it is durable."""
        from asyncrun.ledger.ledger import Finished

        await self.ledger.put(self.space, Finished([text_key(self.sent)], vector.reshape(1, -1), [0]))


def described_spaces(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what describes each space of a ledger, by its fingerprint. Blocks. Raises StorageError and DamagedStateError."""
    with sound_ledger(path) as connection:
        rows = connection.execute("SELECT fingerprint, description FROM spaces WHERE description != ''").fetchall()
    return {fingerprint: json.loads(description) for fingerprint, description in rows}


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
