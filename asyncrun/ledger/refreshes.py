"""Refreshes: a new generation of a job's results, opened once, which goes on after a kill until the job has finished."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.schema import newest_id
from asyncrun.ledger.sums import is_whole, whole_row, with_sum

_PUT = "INSERT OR REPLACE INTO refreshes VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Generation:
    """How often a job was made anew, and what of the ledger counts for it.

    That is batches with a higher number than `since`, answers with a higher one than `answers_since`.
    """

    number: int = 0
    since: int = 0
    answers_since: int = 0


def generation_of(ledger: Ledger, job: str) -> Generation:
    """Return the generation of a job; only while its refresh goes on are older batches and answers left out. Blocks."""
    rows = ledger.whole_rows("refreshes", "job = ?", (job,), then="a refresh that was not finished must be asked for again")
    return Generation(rows[0][1], rows[0][2] * rows[0][4], rows[0][5] * rows[0][4]) if rows else Generation()


async def open_refresh(ledger: Ledger, jobs: Sequence[str]) -> None:
    """Open a new generation for jobs, and forget their failures.

    A refresh of the same jobs that was not finished goes on: those that are done are not made again.
    """
    group = "\n".join(sorted(jobs))

    def write(connection: sqlite3.Connection) -> None:
        rows = [row for row in connection.execute("SELECT * FROM refreshes").fetchall() if is_whole(row)]
        known: Mapping[str, tuple[int, str, int]] = {job: (generation, of, is_open) for job, generation, _, of, is_open, *_ in rows}
        unfinished = any(of == group and is_open for _, of, is_open in known.values())
        since, answers_since = (newest_id(connection, table) for table in ("batches", "answers"))
        for job in jobs:
            generation, of, is_open = known.get(job, (0, "", 0))
            if is_open or (unfinished and of == group):
                continue
            connection.execute(_PUT, with_sum(job, generation + 1, since, group, 1, answers_since))
            connection.execute("DELETE FROM failures WHERE job = ?", (job,))

    await ledger.write(write)


def close_refresh(connection: sqlite3.Connection, job: str) -> None:
    """End the refresh of a job: it has finished, and its generation stays."""
    if (row := whole_row(connection, "refreshes", "job", job)) is not None:
        connection.execute(_PUT, with_sum(*row[:4], 0, row[5]))
