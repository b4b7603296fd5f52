"""Which texts and questions jobs are sending: what one job sends, another one waits for, in the same run or in another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun.aio.worker_state import waiting
from asyncrun.clock import Clock
from asyncrun.errors import TryLaterError
from asyncrun.ledger.file_leases import AnswerLease, OtherLease, TextLease
from asyncrun.records import EmbedFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOON, LONGEST = 0.01, 0.2
"""Seconds between two looks at what others do: at first, and after a while."""


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of a job among those of all jobs that share a folder; the first to ask gets a text. They end with their process.

    `of` is the job's name for others. `stopped` returns the error of a job that must end early, None while it need not.
    """

    folder: Path
    of: str
    clock: Clock
    stopped: Callable[[], TryLaterError | None] = lambda: None

    @asynccontextmanager
    async def take_texts(self, space: str, keys: Sequence[bytes] | bytes) -> AsyncIterator[LeasedTexts]:
        """Take the texts of a space that nobody else has, for as long as the block runs or until it waits for others.

        What was finished before it begins is in the ledger; a look that is older may have missed it. Raises StorageError,
        and TryLaterError where the job must end while another process looks.
        """
        lease = TextLease(self.folder, self.of)
        joined = keys if isinstance(keys, bytes) else b"".join(keys)
        try:
            yield LeasedTexts(await self._take(lease, space, joined), lease, self.clock)
        finally:
            await asyncio.to_thread(lease.close)

    async def _take(self, lease: TextLease, space: str, keys: bytes) -> NDArray[np.bool_]:
        pauses = _Pauses(self.clock)
        while True:
            try:
                return await asyncio.to_thread(lease.take, space, keys)
            except TryLaterError:
                # Waited for here and not in the thread, where nothing would end it: that process may be suspended.
                if (stopped := self.stopped()) is not None:
                    raise stopped from None
                await pauses.next()

    @asynccontextmanager
    async def take_question(self, key: bytes, still: Callable[[], bool]) -> AsyncIterator[bool]:
        """Have one question to oneself while the block runs; waits as long as another job asks it, and `still` says that it matters.

        Gives whether it is so. What was answered before is in the ledger. Raises StorageError.
        """
        lease, pauses = AnswerLease(self.folder, key), _Pauses(self.clock)
        try:
            while still():
                if await asyncio.to_thread(lease.take):
                    yield True
                    return
                await pauses.next()
            yield False
        finally:
            await asyncio.to_thread(lease.end)


@dataclass(frozen=True, slots=True, eq=False)
class LeasedTexts:
    """Which of the texts that were asked for are this job's to send."""

    mine: NDArray[np.bool_]
    _lease: TextLease
    _clock: Clock

    @property
    def failed(self) -> dict[bytes, EmbedFailure]:
        """Return where to say, by key, why some of them have no vector: those who wait learn it at the end."""
        return self._lease.failed

    @property
    def others(self) -> Sequence[OtherLease]:
        """Return where the rest is."""
        return self._lease.others

    async def wait(self) -> dict[bytes, EmbedFailure]:
        """Give up what is this job's own, then return when the others have ended, with what failed there: nobody waits for who waits."""
        await asyncio.to_thread(self._lease.end)
        failed: dict[bytes, EmbedFailure] = {}
        for other in self.others:
            pauses = _Pauses(self._clock)
            while not other.has_ended():
                await pauses.next()
            failed.update(await asyncio.to_thread(other.failed))
        return failed


@dataclass(slots=True)
class _Pauses:
    """The pauses between looks at another job, which grow."""

    clock: Clock
    seconds: float = SOON

    async def next(self) -> None:
        with waiting("another job", words=lambda: "what another job is sending"):
            await self.clock.sleep(self.seconds)
        self.seconds = min(self.seconds * 1.5, LONGEST)
