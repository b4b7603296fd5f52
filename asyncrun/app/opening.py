"""Opening a job file's parts: for a run, or only to look."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from asyncrun.aio.stop import Stop
from asyncrun.app.overrides import Selection, load_jobs
from asyncrun.app.request import Request
from asyncrun.app.wiring import Workshop
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.jobfile.endpoint import EndpointConfig
from asyncrun.jobfile.jobs import Job
from asyncrun.kinds.budget import Purse
from asyncrun.kinds.retry import Retry
from asyncrun.ledger.ledger import Ledger
from asyncrun.paths import LEDGER, state_folder
from asyncrun.ports import NullProgress

NOBODY = NullProgress().warn


def build_workshop(
    request: Request,
    ledger: Ledger,
    *,
    stop: Stop,
    clock: Clock,
    manager: CallbackManager,
    models: Sequence[EndpointConfig] = (),
    stdin: Path | None = None,
    warn: Callable[[str], object] = NOBODY,
) -> Workshop:
    """Return the workshop of a request.

    `models` are all that its job file describes, `stdin` is where standard input was spooled to, `warn` is told what is odd.
    """
    return Workshop(
        file=request.file,
        ledger=ledger,
        stop=stop,
        clock=clock,
        manager=manager,
        rng=random.Random(),  # noqa: S311  # jitter, no secret
        environ=request.environ,
        workers=request.workers,
        stdin=stdin,
        warn=warn,
        deadline=None if request.max_runtime is None else clock.monotonic() + request.max_runtime,
        retry=Retry(request.ids) if request.retry else None,
        limit=request.limit,
        purse=None if request.max_cost is None else Purse(request.max_cost),
        models=models,
    )


@asynccontextmanager
async def open_workshop(request: Request, *, need_keys: bool = False) -> AsyncIterator[tuple[Workshop, tuple[Job, ...]]]:
    """Open what the selected jobs of a file need, for looking only: no lock, and nothing is written beside the job file."""
    async with AsyncExitStack() as stack:
        # Without a ledger all is new: an empty one elsewhere says so, and the folder stays untouched.
        elsewhere = await asyncio.to_thread(tempfile.TemporaryDirectory)
        stack.push_async_callback(asyncio.to_thread, elsewhere.cleanup)
        selection, path = await asyncio.to_thread(_look, request, Path(elsewhere.name), need_keys)
        ledger = Ledger(path)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        models = selection.job_file.models()
        workshop = build_workshop(request, ledger, stop=Stop(), clock=SystemClock(), manager=CallbackManager(), models=models)
        stack.push_async_callback(workshop.aclose)
        yield workshop, selection.jobs


def _look(request: Request, elsewhere: Path, need_keys: bool) -> tuple[Selection, Path]:
    """Return the job file with the selected jobs, and the ledger to read."""
    selection = load_jobs(request, need_keys=need_keys)
    known = state_folder(request.file, request.state_dir) / LEDGER
    return selection, known if known.exists() else elsewhere / LEDGER
