"""Who else hears how a run goes and ends: pings, notices to people. What is not asked for is not imported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from asyncrun.app.flag_overrides import Selection
from asyncrun.app.request import Request
from asyncrun.clock import Clock
from asyncrun.ports import Progress
from asyncrun.redact import Redactor


@asynccontextmanager
async def with_listeners(
    progress: Progress, request: Request, selection: Selection, state: Path, *, redactor: Redactor, clock: Clock
) -> AsyncIterator[Progress]:
    """Yield a progress that also tells those under `notify`, as long as the block lasts, and waits for the last word at its end.

    A rehearsal with the first items is no news. Raises MissingExtraError when notices cannot be sent at all.
    """
    async with AsyncExitStack() as stack:
        if request.options.limit is None and (told := selection.notices()):
            from asyncrun.app.run_notices import with_notices

            progress = await stack.enter_async_context(with_notices(progress, told, request, state, redactor=redactor, now=clock.now))
        if request.options.limit is None and (addresses := selection.pings()):
            from asyncrun.app.run_pings import with_pings

            progress = await stack.enter_async_context(with_pings(progress, addresses, redactor, clock))
        yield progress
