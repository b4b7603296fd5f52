"""What is kept of a job that has finished: that nothing is owed any more, and its space."""

from __future__ import annotations

import sqlite3

from asyncrun.errors import AsyncrunError, StorageError
from asyncrun.jobs.context import JobContext
from asyncrun.ledger.notes import set_last_space
from asyncrun.ledger.refreshes import close_refresh
from asyncrun.ledger.spending import close_account
from asyncrun.records import Space


async def finish_job(context: JobContext, space: Space, error: AsyncrunError | None) -> AsyncrunError | None:
    """Write it down, in one transaction, unless `error` has ended the job, or only a part of it was run (`--limit`).

    Returns the error, or that of the ledger's disk.
    """

    def write(connection: sqlite3.Connection) -> None:
        close_account(connection, context.failures)
        close_refresh(connection, context.failures)
        set_last_space(connection, context.failures, space)

    if error is not None or context.options.limit is not None:
        return error
    try:
        await context.ledger.write(write)
    except StorageError as raised:
        return raised
    return None
