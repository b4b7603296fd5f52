"""What is kept of a job when it ends: what servers counted; and once it has finished, that nothing is owed any more."""

from __future__ import annotations

import sqlite3

from asyncrun.errors import AsyncrunError, StorageError
from asyncrun.kinds.context import JobContext
from asyncrun.ledger.notes import add_token_rate, set_last_space
from asyncrun.ledger.refreshes import close_refresh
from asyncrun.ledger.spending import close_account
from asyncrun.records import Space


async def keep_books(context: JobContext, space: Space, error: AsyncrunError | None) -> AsyncrunError | None:
    """Write it down, in one transaction; `error` is what ended the job. A part of a job (`--limit`) does not finish it.

    Returns the error, or that of the ledger's disk when there was none before.
    """
    rate, whole = context.rate, error is None and context.limit is None

    def write(connection: sqlite3.Connection) -> None:
        if rate.new_bytes:
            add_token_rate(connection, space, rate.new_tokens, rate.new_bytes)
        if whole:
            close_account(connection, context.failures)
            close_refresh(connection, context.failures)
            set_last_space(connection, context.failures, space)

    if rate.new_bytes or whole:
        try:
            await context.ledger.write(write)
        except StorageError as raised:
            return error or raised
        rate.keep()
    return error
