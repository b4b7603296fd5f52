"""Refreshes: a new generation of a job's results, opened once, which goes on after a kill until the job has finished."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Generation:
    """How often a job was made anew, and which batches of the ledger count for it: those with a higher number than `since`."""

    number: int = 0
    since: int = 0


def generation_of(ledger: Ledger, job: str) -> Generation:
    """Return the generation of a job; only while its refresh goes on are older batches left out. Blocks."""
    rows = ledger.read("SELECT generation, since, open FROM refreshes WHERE job = ?", (job,))
    if not rows:
        return Generation()
    [(number, since, is_open)] = rows
    return Generation(number, since if is_open else 0)


async def open_refresh(ledger: Ledger, jobs: Sequence[str]) -> None:
    """Open a new generation for jobs, and forget their failures.

    A refresh of the same jobs that was not finished goes on: those that are done are not made again.
    """
    group = "\n".join(sorted(jobs))

    def write(connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT job, generation, jobs, open FROM refreshes").fetchall()
        known: Mapping[str, tuple[int, str, int]] = {job: (generation, of, is_open) for job, generation, of, is_open in rows}
        unfinished = any(of == group and is_open for _, of, is_open in known.values())
        [(newest,)] = connection.execute("SELECT coalesce(max(id), 0) FROM batches").fetchall()
        for job in jobs:
            generation, of, is_open = known.get(job, (0, "", 0))
            if is_open or (unfinished and of == group):
                continue
            connection.execute("INSERT OR REPLACE INTO refreshes VALUES (?, ?, ?, ?, 1)", (job, generation + 1, newest, group))
            connection.execute("DELETE FROM failures WHERE job = ?", (job,))

    await ledger.write(write)


def close_refresh(connection: sqlite3.Connection, job: str) -> None:
    """End the refresh of a job: it has finished, and its generation stays."""
    connection.execute("UPDATE refreshes SET open = 0 WHERE job = ?", (job,))
