"""What the ledger knows of a job: its refresh, what it has spent, the space it last used, which items failed, what its outputs are of."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncrun.errors import Place, Reason, StorageError, os_words
from asyncrun.ledger.checksums import is_whole, whole_row, with_sum
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.schema import newest_id
from asyncrun.records import KEY_BYTES, ItemFailure, Space
from asyncrun.results import JoinedShards

_WITH_SHARDS = "(job = ? OR (job > ? AND job < ?))"
"""The rows of a job and of its shards: what is known of those is known of the whole, and goes when that is known anew."""


def shards_of(job: str) -> tuple[str, str]:
    """Return between which names those of a job's shards lie.

    >>> first, last = shards_of("jobs.yaml/notes")
    >>> first < "jobs.yaml/notes.shard-2-of-4" < last
    True
    """
    return f"{job}.shard-", f"{job}.shard."


def _whole(job: str) -> str:
    """Return the job that one is a shard of, or the job itself."""
    file, slash, name = job.rpartition("/")
    return f"{file}{slash}{name.partition('.shard-')[0]}"


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and their cost in USD.

    >>> Amount(5, 0.5) - Amount(2, 0.25)
    Amount(tokens=3, cost=0.25)
    """

    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.cost - other.cost)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The limits at which a job was stopped; None where it had none."""

    tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class SpendingAccount:
    """The account of one job; `job` is the name that the ledger knows it by."""

    ledger: Ledger
    job: str

    def balance(self) -> tuple[Amount, Stopped]:
        """Return what was spent since the job last finished, also by its shards, and at which limits it was stopped. Blocks."""
        then = "what a job had spent of its budget is not known any more"
        rows = self.ledger.whole_rows("spending", _WITH_SHARDS, (self.job, *shards_of(self.job)), then=then)
        spent = sum((Amount(tokens, cost) for _, tokens, cost, *_ in rows), Amount())
        return spent, next((Stopped(*stopped) for job, _, _, *stopped in rows if job == self.job), Stopped())

    async def add(self, amount: Amount) -> None:
        """Add to the account; returns when it is durable."""
        await self.ledger.write(lambda connection: _add_spent(connection, self.job, amount))

    async def stop(self, at: Stopped) -> None:
        """Remember at which limits the job was stopped."""
        await self.ledger.write(lambda connection: _add_spent(connection, self.job, Amount(), at))


def _add_spent(connection: sqlite3.Connection, job: str, more: Amount, stopped: Stopped | None = None) -> None:
    _, tokens, cost, *before = whole_row(connection, "spending", "job", job) or (job, 0, 0.0, None, None)
    # What SQLite keeps as REAL it returns as one, and the checksum is that of what it returns.
    at = before if stopped is None else (stopped.tokens, None if stopped.cost is None else float(stopped.cost))
    row = with_sum(job, tokens + more.tokens, float(cost + more.cost), *at)
    connection.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?, ?)", row)


_PUT_REFRESH = "INSERT OR REPLACE INTO refreshes VALUES (?, ?, ?, ?, ?, ?, ?)"


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
            connection.execute(_PUT_REFRESH, with_sum(job, generation + 1, since, group, 1, answers_since))
            connection.execute(f"DELETE FROM failures WHERE {_WITH_SHARDS}", (job, *shards_of(job)))

    await ledger.write(write)


def last_space(ledger: Ledger, job: str) -> Mapping[str, Any] | None:
    """Return what described the space of a job when it last finished, None when it never has. Blocks."""
    rows = ledger.whole_rows("job_spaces", "job = ?", (job,), then="it is not known any more which space a job last used")
    return dict(json.loads(rows[0][1])) if rows else None


def finished_shards(ledger: Ledger, job: str) -> tuple[JoinedShards, ...]:
    """Return which shards of a job have finished since it last did as a whole, as a record for each number of shards. Blocks."""
    rows = ledger.whole_rows("job_spaces", "job > ? AND job < ?", shards_of(job), then="it is not known any more that a shard has finished")
    found: dict[int, dict[int, str]] = {}
    for name, space in rows:
        number, of = map(int, name.rpartition(".shard-")[2].split("-of-"))
        found.setdefault(of, {})[number] = space
    name = job.rpartition("/")[2]
    return tuple(JoinedShards(name, of, tuple(sorted(found[of])), tuple(sorted({*found[of].values()}))) for of in sorted(found))


async def record_finished(ledger: Ledger, job: str, space: Space) -> None:
    """Write down, in one transaction, that a job has finished: its refresh has ended, its budget is whole again, it last used `space`."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(f"DELETE FROM spending WHERE {_WITH_SHARDS}", (job, *shards_of(job)))
        connection.execute("DELETE FROM job_spaces WHERE job > ? AND job < ?", shards_of(job))
        if (row := whole_row(connection, "refreshes", "job", job)) is not None:
            connection.execute(_PUT_REFRESH, with_sum(*row[:4], 0, row[5]))  # its generation stays
        connection.execute("INSERT OR REPLACE INTO job_spaces VALUES (?, ?, ?)", with_sum(job, space.describe()))

    await ledger.write(write)


_DOUBT = b"?"
"""Stands before the key of a failure in doubt: with it, it is no text's key."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A failure of an earlier run, with the key of what failed.

    That is the key of a text, in the space of its vector; of all that a chat model is asked, in the space of its answer; or the mark of a
    document, in no space (""). A record that could not be read has 16 zeros. `in_doubt` says that nothing else was accepted in that run, so
    that the refusal may have been the endpoint's fault.
    """

    failure: ItemFailure
    space: str
    key: bytes
    in_doubt: bool = False

    def holds_for(self, key: bytes, space: str) -> bool:
        """Tell whether this failed, and would fail again."""
        return (self.key, self.space, self.in_doubt) == (key, space, False) and self.failure.reason != Reason.SERVER_ERROR

    def row(self, job: str) -> tuple[Any, ...]:
        """Return the row of the table `failures` without its checksum."""
        failure, key, place = self.failure, _DOUBT * self.in_doubt + self.key, self.failure.place
        # A `Reason` is written out otherwise than the text that comes back, and the checksum is that of what is written out.
        return job, failure.id, self.space, key, place.file, place.line, str(failure.reason), failure.message, failure.attempts


def read_failure(row: tuple[Any, ...]) -> KnownFailure:
    """Return the failure of such a row.

    >>> known = KnownFailure(ItemFailure("7", Place("a.jsonl", 3), "refused", "no", 1), "", bytes(16), in_doubt=True)
    >>> read_failure(known.row("job")) == known
    True
    """
    _, item, space, key, file, line, reason, message, attempts = row
    in_doubt = key.startswith(_DOUBT) and len(key) == len(_DOUBT) + KEY_BYTES
    return KnownFailure(
        ItemFailure(item, Place(file, line), reason, message, attempts), space, key.removeprefix(_DOUBT * in_doubt), in_doubt
    )


def known_failures(ledger: Ledger, job: str) -> dict[str, KnownFailure]:
    """Return the failed items of a job and of its shards, or of a shard and of the whole, by item id. Blocks."""
    where = f"({_WITH_SHARDS} OR job = ?) ORDER BY file, line, item, job"
    rows = ledger.whole_rows("failures", where, (job, *shards_of(job), _whole(job)), then="its item is sent again")
    return {known.failure.id: known for known in map(read_failure, rows)}


async def set_failures(ledger: Ledger, job: str, failures: Iterable[KnownFailure]) -> None:
    """Put the failures of a job in the place of its former ones, and of those of its shards."""
    rows = [with_sum(*known.row(job)) for known in failures]

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(f"DELETE FROM failures WHERE {_WITH_SHARDS}", (job, *shards_of(job)))
        connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    await ledger.write(write)


def is_current_output(ledger: Ledger, path: Path, mark: str) -> bool:
    """Tell whether the file at `path` is still the one that was made from what `mark` stands for. Blocks."""
    rows = ledger.read("SELECT mark, size, modified FROM outputs WHERE path = ?", (_as_text(path),))
    try:
        found = path.stat()
    except OSError:
        return False
    return rows == [(mark, found.st_size, found.st_mtime_ns)]


async def record_output(ledger: Ledger, path: Path, mark: str, placed: os.stat_result | None = None) -> None:
    """Remember what the file at `path` was made from, unless another than the one that was `placed` is there by now.

    Raises StorageError where there is none.
    """
    try:
        found = await asyncio.to_thread(path.stat)
    except OSError as error:
        raise StorageError(f"the output {path} cannot be found: {os_words(error)}", hint="Leave it alone during a run.") from error
    if placed is not None and (placed.st_dev, placed.st_ino) != (found.st_dev, found.st_ino):
        return

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)", (_as_text(path), mark, found.st_size, found.st_mtime_ns))

    await ledger.write(write)


def _as_text(path: Path) -> str:
    # A name need not be UTF-8, and SQLite's texts must.
    return str(path).encode(errors="backslashreplace").decode()


def has_waiting_batches(ledger: Ledger, job: str, purpose: str) -> bool:
    """Tell whether batches of the job for a purpose may be at a provider, with what is not collected yet. Blocks."""
    statement = "SELECT 1 FROM provider_batches WHERE job = ? AND purpose = ? AND state IN ('uploaded', 'submitted') LIMIT 1"
    return bool(ledger.read(statement, (job, purpose)))
