"""Which texts the jobs of a run are sending: what one job sends, another one waits for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.records import EmbedFailure

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(eq=False, slots=True)
class Claim:
    """Texts of one space, by their keys, that a job is sending; `failed` says why some of them have no vector."""

    space: str
    keys: NDArray[np.void]
    failed: dict[bytes, EmbedFailure] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Claims:
    """The claims of a run, for jobs on one event loop; the first to ask gets a text.

    >>> async def two(claims: Claims) -> tuple[list[bool], int]:
    ...     async with claims.claim("space", [b"a" * 16]), claims.claim("space", [b"a" * 16, b"b" * 16]) as other:
    ...         return other.mine.tolist(), len(other.others)
    >>> asyncio.run(two(Claims()))
    ([False, True], 1)
    """

    def __init__(self) -> None:
        self._open: list[Claim] = []
        self._ended: Counter[str] = Counter()
        self._asking = asyncio.Lock()

    def ended(self, space: str) -> int:
        """Return how many claims of a space have ended so far: what was finished under them may be missing in an index read before."""
        return self._ended[space]

    @asynccontextmanager
    async def claim(self, space: str, keys: Sequence[bytes] | bytes, *, seen: int = 0) -> AsyncIterator[Share]:
        """Claim the texts that nobody else has, for as long as the block runs. One asks at a time; looking takes place in a thread.

        `seen` is what `ended` returned before the asker looked for finished texts.
        """
        async with self._asking:
            there = [claim for claim in self._open if claim.space == space and len(claim.keys)]
            wanted, mine, others = await asyncio.to_thread(_shared, keys, there)
            own = Claim(space, wanted[mine])
            self._open.append(own)
        try:
            yield Share(mine, own, others, outdated=self._ended[space] > seen)
        finally:
            self._open.remove(own)
            self._ended[space] += 1
            own.ended.set()


def _shared(keys: Sequence[bytes] | bytes, there: Sequence[Claim]) -> tuple[NDArray[np.void], NDArray[np.bool_], list[Claim]]:
    """Return the keys as an array, which of them are in no claim, and the claims that have some."""
    wanted = np.frombuffer(keys if isinstance(keys, bytes) else b"".join(keys), dtype="V16")
    mine = np.ones(len(wanted), dtype=bool)
    others = []
    for claim in there:
        if (taken := np.isin(wanted, claim.keys)).any():
            mine &= ~taken
            others.append(claim)
    return wanted, mine, others


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Which of the keys that were asked for are this job's to send; `others` are the claims that hold the rest.

    Under `outdated`, another job may have finished some of them since this one looked: it must look again.
    """

    mine: NDArray[np.bool_]
    own: Claim
    others: Sequence[Claim]
    outdated: bool

    async def wait(self) -> dict[bytes, EmbedFailure]:
        """Return when the others have ended, with what failed there."""
        failed: dict[bytes, EmbedFailure] = {}
        for claim in self.others:
            await claim.ended.wait()
            failed.update(claim.failed)
        return failed
