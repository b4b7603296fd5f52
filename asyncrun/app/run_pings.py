"""Pings of a run and of its jobs: a progress that tells the addresses under `notify` of begin and end, beside the work."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from asyncrun.aio.stop import MAX_RUNTIME, StopRequest, handle_signals
from asyncrun.app.flag_overrides import RUN
from asyncrun.clock import Clock
from asyncrun.errors import AsyncrunError, LockedError, UsageError
from asyncrun.http import Client, build_client
from asyncrun.notify.pings import FAIL, START, SUCCESS, TRIES, ping_address, ping_body, send_ping
from asyncrun.ports import CombinedProgress, Progress
from asyncrun.redact import Redactor
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.ui.run_end import render_ending, render_trouble

OVERLAP = 2.0
"""Seconds that a start has left to arrive once its end is due; a start that came after its end would raise an alarm."""


@dataclass(slots=True, eq=False)
class _Address:
    """One address: `rid` pairs what it is told; `ping` is the latest, under way or done."""

    url: str
    rid: uuid.UUID
    ping: asyncio.Task[None] | None = None


class RunPings(Progress):
    """Tells addresses how the run and its jobs begin and end; it never waits, and whatever becomes of a ping changes nothing else.

    Args:
        addresses: by the name of the job, or `RUN`.
        send: sends one ping (an address, a body, how often to try) and says why it did not get through.
        redact: takes secrets out of a text.
        warn: is told once, of the first ping that did not get through.
        rid: the run's; a job's follows from it.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        send: Callable[[str, bytes, int], Awaitable[str | None]],
        redact: Callable[[str], str],
        warn: Callable[[str], object],
        rid: uuid.UUID,
    ) -> None:
        self._addresses = {name: _Address(url, uuid.uuid5(rid, name) if name else rid) for name, url in addresses.items()}
        self._send = send
        self._redact = redact
        self._warn = warn
        self._warned = False
        self._pings: set[asyncio.Task[None]] = set()
        self._tries = TRIES
        self._run_id = ""

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Ping the start of the run."""
        self._run_id = run_id
        self._tell(RUN, START, f"Run {run_id} begins: {', '.join(tasks)}")

    def task_started(self, task: str, total: int | None) -> None:
        """Ping the start of a job."""
        self._tell(task, START, f"{task} begins")

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Ping the end of a job; one that had not begun when the run reached its planned end has nothing to tell."""
        if result is None:
            return
        alone = RunResult(self._run_id, (result,), result.seconds)
        if result.status is not Status.CANCELLED:
            self._tell(task, _step(alone), str(render_ending(alone)))
        elif not (result.reason or "").endswith(MAX_RUNTIME):
            self._tell(task, FAIL, str(render_ending(alone)))

    def run_finished(self, result: RunResult) -> None:
        """Ping the end of the run; after a signal there is time for one try."""
        self._tries = TRIES if result.signal is None else 1
        self._tell(RUN, _step(result), str(render_ending(result)))

    def failed(self, error: Exception) -> None:
        """Ping that the run ended by an error instead of a result."""
        code = error.exit_code if isinstance(error, AsyncrunError) else AsyncrunError.exit_code
        self._tell(RUN, str(code), f"{error}\n{error.hint}" if isinstance(error, AsyncrunError) else type(error).__name__)

    def give_up(self) -> None:
        """Cancel the pings that are under way."""
        cancel_all(self._pings)

    async def aclose(self) -> None:
        """Wait for the pings that are under way; a signal gives them up, and the run ends as it had ended."""
        await wait_or_give_up(self._pings)

    def _tell(self, name: str, step: str, text: str) -> None:
        address = self._addresses.get(name)
        if address is not None:
            body = ping_body(text, self._redact)
            address.ping = asyncio.create_task(self._ping(address.ping, ping_address(address.url, step, address.rid), body))
            self._pings.add(address.ping)

    async def _ping(self, before: asyncio.Task[None] | None, address: str, body: bytes) -> None:
        if before is not None:
            _, late = await asyncio.wait([before], timeout=OVERLAP)
            for ping in late:
                ping.cancel()
        why = await self._send(address, body, self._tries)
        if why is not None and not self._warned:
            self._warned = True
            self._warn(f"a ping of notify did not get through: {why}; nothing else is changed by it")


def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks."""
    for task in tasks:
        task.cancel()


async def wait_or_give_up(tasks: Collection[asyncio.Task[None]]) -> None:
    """Wait for what is still to be sent after a run; a signal cancels it, and the run ends as it had ended."""
    own = asyncio.current_task()
    if not tasks or own is None:
        return
    with handle_signals(StopRequest(), own.cancel, grace=0.0):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            own.uncancel()
            cancel_all(tasks)
            await asyncio.wait(tasks)


@asynccontextmanager
async def with_pings(progress: Progress, addresses: Mapping[str, str], redactor: Redactor, clock: Clock) -> AsyncIterator[Progress]:
    """Yield a progress that also pings the addresses, by the names of jobs and `RUN`.

    An error of the block is pinged too, but for a lock: the run that has it tells of itself.
    """
    rng = random.Random()  # noqa: S311  # jitter, no secret
    # Importing the client and reading the CA bundle take a tenth of a second: not on the loop, and the work does not wait for it.
    client: asyncio.Future[Client] = asyncio.ensure_future(asyncio.to_thread(build_client, len(addresses)))

    async def send(address: str, body: bytes, tries: int) -> str | None:
        try:
            opened = await asyncio.shield(client)
        except UsageError as error:  # A CA bundle that SSL_CERT_FILE names and that is none.
            return f"no connection can be made: {error}"
        return await send_ping(opened, address, body, clock=clock, rng=rng, tries=tries)

    pings = RunPings(addresses, send=send, redact=redactor.redact, warn=progress.warn, rid=uuid.uuid4())
    try:
        yield CombinedProgress(progress, pings)
    except LockedError:
        raise
    except Exception as error:
        pings.failed(error)
        raise
    except BaseException:
        pings.give_up()
        raise
    finally:
        await pings.aclose()
        with suppress(OSError, UsageError):
            await (await client).aclose()


def _step(result: RunResult) -> str:
    """Return what an end is told as: a success when nobody need look, so also at the planned end of `max_runtime`."""
    return str(result.exit_code) if render_trouble(result).lines else SUCCESS
