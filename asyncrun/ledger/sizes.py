"""How large each space of a ledger is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from asyncrun.ledger.integrity import open_sound
from asyncrun.ledger.schema import explained
from asyncrun.results import SpaceSize


def space_sizes(path: Path) -> list[SpaceSize]:
    """Return the spaces of a ledger, the largest first. Blocks. Raises StorageError and DamagedStateError."""
    statement = (
        "SELECT fingerprint, description, coalesce(v.count, 0), coalesce(v.bytes, 0) + coalesce(a.bytes, 0) AS size, coalesce(a.count, 0)"
        " FROM spaces LEFT JOIN (SELECT space, sum(count) AS count, sum(length(keys) + length(vectors) + length(flags)) AS bytes"
        " FROM batches GROUP BY space) v ON v.space = spaces.id LEFT JOIN (SELECT space, count(*) AS count,"
        " sum(length(key) + length(answer)) AS bytes FROM answers GROUP BY space) a ON a.space = spaces.id ORDER BY size DESC, fingerprint"
    )
    with closing(open_sound(path)) as connection:
        try:
            return [SpaceSize(*row) for row in connection.execute(statement)]
        except sqlite3.DatabaseError as error:
            raise explained(error, path) from error
