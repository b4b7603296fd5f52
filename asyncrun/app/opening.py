"""Opening a job file's parts: for a run, or only to look."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from asyncrun.aio.stop import StopRequest
from asyncrun.app.builder import JobBuilder
from asyncrun.app.overrides import Selection, load_jobs
from asyncrun.app.request import Request, environment_secrets
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.errors import Mistake, StorageError, os_words
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import ModelConfig
from asyncrun.jobs.budget import RunBudget
from asyncrun.ledger.ledger import Ledger
from asyncrun.paths import LEDGER, is_there, state_folder
from asyncrun.ports import Progress
from asyncrun.redact import Redactor, redact_error

NOBODY = Progress().warn


def create_builder(
    request: Request,
    ledger: Ledger,
    *,
    stop: StopRequest,
    clock: Clock,
    manager: CallbackManager,
    models: Sequence[ModelConfig] = (),
    jobs: Sequence[Job] = (),
    keyless: Sequence[Mistake] = (),
    stdin: Path | None = None,
    warn: Callable[[str], object] = NOBODY,
    redact: Callable[[str], str] = str,
) -> JobBuilder:
    """Return the builder of a request.

    `models`, `jobs` and `keyless` are those of its job file; for these and the others see `JobBuilder`.
    """
    options = request.options
    return JobBuilder(
        file=request.file,
        ledger=ledger,
        stop=stop,
        clock=clock,
        manager=manager,
        rng=random.Random(),  # noqa: S311  # jitter, no secret
        environ=request.environ,
        options=options,
        stdin=stdin,
        warn=warn,
        redact=redact,
        deadline=None if options.max_runtime is None else clock.monotonic() + options.max_runtime,
        run_budget=None if options.max_cost is None else RunBudget(options.max_cost),
        models=models,
        jobs=jobs,
        keyless=keyless,
    )


def redactor_of(request: Request, selection: Selection) -> Redactor:
    """Return who knows the secrets of a job file and of the environment that it is used in."""
    return Redactor({*selection.job_file.secrets(), *environment_secrets(request.environ)})


@asynccontextmanager
async def open_builder(request: Request, *, need_keys: bool = False) -> AsyncIterator[tuple[JobBuilder, tuple[Job, ...]]]:
    """Open what the selected jobs of a file need, for looking only: no lock, and nothing is written beside the job file."""
    async with AsyncExitStack() as stack:
        selection, path = await asyncio.to_thread(_look, request, need_keys)
        if not await asyncio.to_thread(is_there, path):
            # Without a ledger all is new: an empty one elsewhere says so, and the folder stays untouched.
            elsewhere = await asyncio.to_thread(_open_elsewhere)
            stack.push_async_callback(asyncio.to_thread, elsewhere.cleanup)
            path = Path(elsewhere.name) / LEDGER
        ledger = Ledger(path)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        job_file = selection.job_file
        build = partial(create_builder, models=job_file.models(), jobs=job_file.jobs, keyless=job_file.keyless)
        builder = build(request, ledger, stop=StopRequest(), clock=SystemClock(), manager=CallbackManager())
        stack.push_async_callback(builder.aclose)
        try:
            yield builder, selection.jobs
        except Exception as error:
            # Whoever shows it does not know the secrets of this job file.
            redact_error(error, redactor_of(request, selection).redact)
            raise


def _look(request: Request, need_keys: bool) -> tuple[Selection, Path]:
    """Return the job file with the selected jobs, and where its ledger is, if there is one."""
    return load_jobs(request, need_keys=need_keys), state_folder(request.file, request.state_dir) / LEDGER


def _open_elsewhere() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {os_words(error)}", hint="Make room on the disk, or set TMPDIR.") from error
