"""Jobs that do little, and ways to look at what a pool does with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from asyncrun.aio.pool import Outcome


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def at_once(number: int) -> int:
    return number


async def fail(error: BaseException) -> int:
    await asyncio.sleep(0)
    raise error


class Gauge:
    """Jobs that say how many of them run, and can be held."""

    def __init__(self) -> None:
        self.running = 0
        self.peak = 0
        self.ended = 0
        self.cleaned = 0
        self.release = asyncio.Event()

    async def job(self) -> int:
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self.release.wait()
            self.ended += 1
            return self.ended
        finally:
            self.running -= 1
            await asyncio.sleep(0)
            self.cleaned += 1

    def jobs(self, number: int) -> list[Awaitable[int]]:
        return [self.job() for _ in range(number)]


class Held:
    """Jobs that end when they are told to."""

    def __init__(self, number: int) -> None:
        self.gates = [asyncio.Event() for _ in range(number)]
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    async def job(self, index: int) -> int:
        self.begun.append(index)
        try:
            await self.gates[index].wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.cancelled.append(index)
            raise
        return index

    def jobs(self) -> Iterator[Awaitable[int]]:
        return map(self.job, range(len(self.gates)))

    def release(self, *indices: int) -> None:
        for index in indices:
            self.gates[index].set()


async def turns(number: int = 30) -> None:
    """Let everything happen that happens by itself."""
    for _ in range(number):
        await asyncio.sleep(0)


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


async def collected(stream: AsyncIterator[Outcome[Any]]) -> list[Outcome[Any]]:
    return [outcome async for outcome in stream]


async def take_into(indices: list[int], stream: AsyncIterator[Outcome[Any]]) -> None:
    async for outcome in stream:
        indices.append(outcome.index)  # noqa: PERF401 - what came before an error is to be seen
