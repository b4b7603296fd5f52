"""Spaces of a ledger: what is known of each.

Who asks only what they are needs no NumPy: what takes it is imported where it is used.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.checksums import whole_row, with_sum
from asyncrun.ledger.connection import sound_ledger
from asyncrun.ledger.schema import FLOAT_BYTES
from asyncrun.records import Space, text_key

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
