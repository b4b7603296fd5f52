"""What is kept of a job that has finished: that nothing is owed any more, and its space."""

from __future__ import annotations

from asyncrun.errors import AsyncrunError, StorageError
from asyncrun.jobs.context import JobContext
from asyncrun.ledger.job_records import record_finished
from asyncrun.records import Space


async def finish_job(context: JobContext, space: Space, error: AsyncrunError | None) -> AsyncrunError | None:
    """Write it down, in one transaction, unless `error` has ended the job, or only a part of it was run (`--limit`).

    Returns the error, or that of the ledger's disk.
    """
    if error is not None or context.options.limit is not None:
        return error
    try:
        await record_finished(context.ledger, context.failures, space)
    except StorageError as raised:
        return raised
    return None
