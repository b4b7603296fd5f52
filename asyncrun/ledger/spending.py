"""What a job has spent since it last finished: reserved before a call, corrected after it, durable over kills."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.sums import whole_row, with_sum


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
        """Return what was spent since the job last finished, and at which limits it was stopped. Blocks."""
        rows = self.ledger.whole_rows("spending", "job = ?", (self.job,), then="what a job had spent of its budget is not known any more")
        if not rows:
            return Amount(), Stopped()
        [(_, tokens, cost, stopped_tokens, stopped_cost)] = rows
        return Amount(tokens, cost), Stopped(stopped_tokens, stopped_cost)

    async def add(self, amount: Amount) -> None:
        """Add to the account; returns when it is durable."""
        await self.ledger.write(lambda connection: _put(connection, self.job, amount))

    async def stop(self, at: Stopped) -> None:
        """Remember at which limits the job was stopped."""
        await self.ledger.write(lambda connection: _put(connection, self.job, Amount(), at))


def close_account(connection: sqlite3.Connection, job: str) -> None:
    """Forget what a job has spent: it has finished."""
    connection.execute("DELETE FROM spending WHERE job = ?", (job,))


def _put(connection: sqlite3.Connection, job: str, more: Amount, stopped: Stopped | None = None) -> None:
    _, tokens, cost, *before = whole_row(connection, "spending", "job", job) or (job, 0, 0.0, None, None)
    # What SQLite keeps as REAL it returns as one, and the checksum is that of what it returns.
    at = before if stopped is None else (stopped.tokens, None if stopped.cost is None else float(stopped.cost))
    row = with_sum(job, tokens + more.tokens, float(cost + more.cost), *at)
    connection.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?, ?)", row)
