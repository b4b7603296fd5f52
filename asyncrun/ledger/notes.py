"""Small things that the ledger knows of spaces and jobs: tokens per byte, where a space was served, which space a job last used."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from asyncrun.ledger.ledger import Ledger
from asyncrun.records import Space


def token_rate(ledger: Ledger, space: Space) -> tuple[int, int]:
    """Return how many tokens servers have counted in a space, and in how many bytes; zeros when none did. Blocks."""
    rows = ledger.read("SELECT tokens, bytes FROM token_rates WHERE fingerprint = ?", (space.fingerprint,))
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


def add_token_rate(connection: sqlite3.Connection, space: Space, tokens: int, size: int) -> None:
    """Add tokens that a server has counted in so many bytes."""
    connection.execute(
        "INSERT INTO token_rates (fingerprint, bytes, tokens) VALUES (?, ?, ?)"
        " ON CONFLICT (fingerprint) DO UPDATE SET bytes = bytes + excluded.bytes, tokens = tokens + excluded.tokens",
        (space.fingerprint, size, tokens),
    )


def last_space(ledger: Ledger, job: str) -> Mapping[str, Any] | None:
    """Return what described the space of a job when it last finished, None when it never has. Blocks."""
    rows = ledger.read("SELECT description FROM job_spaces WHERE job = ?", (job,))
    return dict(json.loads(rows[0][0])) if rows else None


def space_of(ledger: Ledger, fingerprint: str) -> Mapping[str, Any] | None:
    """Return what describes a space, None for one that the ledger does not know. Blocks."""
    rows = ledger.read("SELECT description FROM spaces WHERE fingerprint = ? AND description != ''", (fingerprint,))
    return dict(json.loads(rows[0][0])) if rows else None


def set_last_space(connection: sqlite3.Connection, job: str, space: Space) -> None:
    """Remember the space of a job that has finished."""
    connection.execute("INSERT OR REPLACE INTO job_spaces VALUES (?, ?)", (job, space.describe()))


def places(ledger: Ledger, space: Space) -> frozenset[str]:
    """Return the places that have served a space. Blocks."""
    return frozenset(place for (place,) in ledger.read("SELECT place FROM places WHERE fingerprint = ?", (space.fingerprint,)))


async def add_places(ledger: Ledger, space: Space, new: Iterable[str]) -> None:
    """Remember places that serve a space."""
    rows = [(space.fingerprint, place) for place in new]

    def write(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR IGNORE INTO places VALUES (?, ?)", rows)

    await ledger.write(write)


def known_dimensions(ledger: Ledger, space: Space) -> int | None:
    """Return how many numbers the vectors of a space have, None when it has none. Blocks."""
    rows = ledger.read(
        "SELECT b.dimensions FROM batches b JOIN spaces s ON s.id = b.space WHERE s.fingerprint = ? AND b.count > 0 LIMIT 1",
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
