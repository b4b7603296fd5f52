"""What commands need that only look: the parts of a job file's jobs, opened without a lock and with nothing written beside the file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from asyncrun.aio.stop import StopRequest
from asyncrun.app.builder import JobBuilder
from asyncrun.app.flag_overrides import load_jobs
from asyncrun.app.request import Request
from asyncrun.errors import StorageError, os_words
from asyncrun.jobfile.jobs import Job
from asyncrun.ledger.ledger import Ledger
from asyncrun.redact import redact_error
from asyncrun.state_folder import LEDGER, state_file_exists, state_folder

T = TypeVar("T")


@asynccontextmanager
async def open_builder(
    request: Request, *, need_keys: bool = False, need_inputs: bool = True
) -> AsyncIterator[tuple[JobBuilder, tuple[Job, ...]]]:
    """Open what the selected jobs of a file need, for looking only: no lock, and nothing is written beside the job file."""
    async with AsyncExitStack() as stack:
        selection = await asyncio.to_thread(partial(load_jobs, request, need_keys=need_keys, need_inputs=need_inputs))
        path = (await asyncio.to_thread(state_folder, request.file, request.state_dir)) / LEDGER
        if not await asyncio.to_thread(state_file_exists, path):
            # Without a ledger all is new: an empty one elsewhere says so, and the folder stays untouched.
            elsewhere = await asyncio.to_thread(_open_elsewhere)
            stack.push_async_callback(asyncio.to_thread, elsewhere.cleanup)
            path = Path(elsewhere.name) / LEDGER
        ledger = Ledger(path)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        builder = JobBuilder(request, selection.job_file, ledger)
        stack.push_async_callback(builder.aclose)
        try:
            yield builder, selection.jobs
        except Exception as error:
            # Whoever shows it does not know the secrets of this job file.
            redact_error(error, selection.redactor(request.environ).redact)
            raise


def _open_elsewhere() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {os_words(error)}", hint="Make room on the disk, or set TMPDIR.") from error


async def until_interrupted(work: Coroutine[Any, Any, T], stop: StopRequest) -> T:
    """Return what the work returns. When it is cancelled, as by Ctrl-C, it is told to stop and waited for: no thread can be cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.request("interrupted")
        await asyncio.gather(task, return_exceptions=True)
        raise
