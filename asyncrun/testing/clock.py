"""A clock for tests: time passes when every task waits, or when the test says so; nobody sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_QUIET = 3
"""Turns of a loop in a row without anything to do: it takes one to fetch what a socket holds, and one to hand it on."""
MOST_TURNS = 1_000_000
"""Turns of a loop after which it is clear that it will never be idle."""


class FakeClock:
    """Virtual time (the Clock port).

    With `auto`, time jumps to the next sleeper as soon as no task of the loop can go on; without, only `advance` moves it. Sleepers wake in
    the order of their times, and in the order in which they lay down when the times are equal, so that every run is the same.

    Work in threads and on sockets goes on in real time and is not waited for: use this clock where all waiting is on it, and one a loop.

    >>> clock = FakeClock()
    >>> asyncio.run(clock.sleep(3600)); clock.monotonic()
    3600.0
    """

    def __init__(self, *, start: float = 0.0, wall: float = 1_800_000_000.0, auto: bool = True) -> None:
        self._time = start
        self._wall = wall - start
        self._auto = auto
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._watched: asyncio.AbstractEventLoop | None = None
        self._advancing = False

    def now(self) -> float:
        """Return virtual seconds since 1970."""
        return self._wall + self._time

    def monotonic(self) -> float:
        """Return virtual seconds that only grow."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        loop = asyncio.get_running_loop()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self._time + seconds, next(self._order), woken))
        self._watch(loop)
        await woken

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass, waking each sleeper at its time and letting it run as far as it gets."""
        end = self._time + seconds
        # Who waits until the loop is idle keeps it busy: of the watcher and this, one alone may.
        self._advancing = True
        try:
            await _settle()
            while (at := self._next()) is not None and at <= end:
                self._wake(at)
                await _settle()
            self._time = max(self._time, end)
        finally:
            self._advancing = False
            self._watch(asyncio.get_running_loop())

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as a person, a time server or a suspended machine does."""
        self._wall += seconds

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        # In another loop than before: the former one was closed, and its watcher with it.
        if self._auto and not self._advancing and self._watched is not loop:
            self._watched = loop
            loop.call_soon(self._look, loop, 0, 0)

    def _look(self, loop: asyncio.AbstractEventLoop, quiet: int, turns: int) -> None:
        at = self._next()
        if at is None or self._advancing:
            self._watched = None
            return
        quiet = quiet + 1 if _is_idle(loop) else 0
        if quiet >= _QUIET:
            self._wake(at)
            quiet = turns = 0
        elif turns >= MOST_TURNS:
            self._watched = None
            self._sleepers[0][2].set_exception(_never_idle())
            return
        loop.call_soon(self._look, loop, quiet, turns + 1)

    def _next(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self, at: float) -> None:
        self._time = max(self._time, at)
        while self._next() == at:
            heapq.heappop(self._sleepers)[2].set_result(None)


def _is_idle(loop: asyncio.AbstractEventLoop) -> bool:
    # No public way tells whether callbacks are due. A loop without this attribute (uvloop) is taken as idle after the turns of _QUIET.
    return not getattr(loop, "_ready", ())


async def _settle() -> None:
    """Let all tasks run until each waits."""
    loop = asyncio.get_running_loop()
    quiet = 0
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
        quiet = quiet + 1 if _is_idle(loop) else 0
        if quiet >= _QUIET:
            return
    raise _never_idle()


def _never_idle() -> RuntimeError:
    return RuntimeError("virtual time cannot pass: a task never waits, or two clocks share a loop")
