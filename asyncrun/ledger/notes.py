"""Small things that the ledger knows of spaces and jobs: tokens per byte, where a space was served, which space a job last used."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.reading import FLOAT_BYTES
from asyncrun.ledger.sums import whole_row, with_sum
from asyncrun.records import Space


def token_rate(ledger: Ledger, space: Space) -> tuple[int, int]:
    """Return how many tokens servers have counted in a space, and in how many bytes; zeros when none did. Blocks."""
    rows = ledger.whole_rows("token_rates", "fingerprint = ?", (space.fingerprint,), then="tokens are counted anew")
    return (rows[0][2], rows[0][1]) if rows else (0, 0)


def add_token_rate(connection: sqlite3.Connection, space: Space, tokens: int, size: int) -> None:
    """Add tokens that a server has counted in so many bytes."""
    _, bytes_before, before = whole_row(connection, "token_rates", "fingerprint", space.fingerprint) or ("", 0, 0)
    row = with_sum(space.fingerprint, bytes_before + size, before + tokens)
    connection.execute("INSERT OR REPLACE INTO token_rates VALUES (?, ?, ?, ?)", row)


def last_space(ledger: Ledger, job: str) -> Mapping[str, Any] | None:
    """Return what described the space of a job when it last finished, None when it never has. Blocks."""
    rows = ledger.whole_rows("job_spaces", "job = ?", (job,), then="it is not known any more which space a job last used")
    return dict(json.loads(rows[0][1])) if rows else None


def space_of(ledger: Ledger, fingerprint: str) -> Mapping[str, Any] | None:
    """Return what describes a space, None for one that the ledger does not know. Blocks."""
    rows = ledger.read("SELECT description FROM spaces WHERE fingerprint = ? AND description != ''", (fingerprint,))
    return dict(json.loads(rows[0][0])) if rows else None


def set_last_space(connection: sqlite3.Connection, job: str, space: Space) -> None:
    """Remember the space of a job that has finished."""
    connection.execute("INSERT OR REPLACE INTO job_spaces VALUES (?, ?, ?)", with_sum(job, space.describe()))


def places(ledger: Ledger, space: Space) -> frozenset[str]:
    """Return the places that have served a space. Blocks."""
    rows = ledger.whole_rows("places", "fingerprint = ?", (space.fingerprint,), then="the place is compared again")
    return frozenset(place for _, place in rows)


async def add_places(ledger: Ledger, space: Space, new: Iterable[str]) -> None:
    """Remember places that serve a space."""
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
