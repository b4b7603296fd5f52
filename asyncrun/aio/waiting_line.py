"""A line before slots, for tasks of any event loop and thread: first come, first served, and no loop that stands still holds up others."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from asyncrun.clock import Clock
from asyncrun.usage import Waits

T = TypeVar("T")
Obstacle = tuple[str, float]
"""What holds a request back (queue, rate or gate), and for how many seconds; infinite when it waits for an event."""
_NO_WAITS, _BEHIND = Waits(), ("queue", math.inf)
PATIENCE = 0.5
"""Seconds that a loop has to show that it turns, when another one waits for it."""


@dataclass(slots=True, eq=False)
class _Turn:
    """One who stands in line; `woken` is set while he waits."""

    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future[None] | None = None
    standing: bool = True


class WaitingLine:
    """Lets one in after the other: the head waits until nothing holds it back, the others wait for the head.

    `reason` is what the head waits for (queue, rate, gate), None when it does not. The seconds are added up by reason, so that what one
    waiter has waited is the difference of two sums.

    Where several loops stand in line, a loop that is closed, stopped, or blocked for more than PATIENCE is passed over until it turns
    again, and the slots that it holds do not count: it may be blocked by the very one who waits for it. `lock` guards the line, and
    whatever the callables given to `wait` look at. A copy is an empty line.
    """

    def __init__(self, clock: Clock) -> None:
        self.reason: str | None = None
        # One that its own thread may take again: the collector may end a coroutine, and with it a wait, wherever an object is made.
        self.lock = threading.RLock()
        self._clock = clock
        self._line: deque[_Turn] = deque()
        self._taken = 0
        self._standing: dict[asyncio.AbstractEventLoop, int] = {}
        self._slots: dict[asyncio.AbstractEventLoop, int] = {}
        self._watches: dict[asyncio.AbstractEventLoop, asyncio.TimerHandle | None] = {}
        self._others = _OtherLoops(clock)
        self._head: _Turn | None = None
        self._sums = {"queue": 0.0, "rate": 0.0, "gate": 0.0}
        self._since = 0.0
        self._until = math.inf

    def __reduce__(self) -> tuple[type[WaitingLine], tuple[Clock]]:
        return WaitingLine, (self._clock,)

    def __len__(self) -> int:
        return len(self._line)

    @property
    def left(self) -> float:
        """How many seconds the head has still to wait; infinite when it waits for an event."""
        return max(0.0, self._until - self._clock.monotonic())

    @property
    def taken(self) -> int:
        """How many slots are taken, those of loops that stand still left out."""
        still = self._others.still
        return self._taken - sum(self._slots.get(loop, 0) for loop in still) if still else self._taken

    async def wait(self, obstacle: Callable[[], Obstacle | None], enter: Callable[[], T]) -> tuple[Waits, T]:
        """Stand in line until `obstacle` returns None, take a slot, and return what was waited and what `enter` returns."""
        loop = asyncio.get_running_loop()
        if (at_once := self.pass_by(loop, obstacle, enter)) is not None:
            return at_once
        with self.lock:
            before, asked = self._seconds(), self._clock.monotonic()
            turn = _Turn(loop)
            self._line.append(turn)
            self._standing[loop] = self._standing.get(loop, 0) + 1
        try:
            while True:
                with self.lock:
                    if self._others.asked:
                        self._others.turns(loop)
                    is_first = self._first() is turn
                    held = obstacle() if is_first else _BEHIND
                    if held is None:
                        self._take(loop)
                        entered = enter()
                        break
                    woken = turn.woken = loop.create_future()
                    if len(self._standing) > 1 or len(self._slots) > (loop in self._slots):
                        self._watch_others(loop)
                    if is_first:
                        self._begin_pause(turn, *held)
                await (self._pause(turn, woken, held[1]) if is_first else woken)
            now = self._seconds()
            spent = {reason: now[reason] - seconds for reason, seconds in before.items()}
            # The rest was standing in line behind requests that were let in one by one.
            spent["queue"] += max(self._clock.monotonic() - asked - sum(spent.values()), 0.0)
            return Waits(**spent), entered
        finally:
            with self.lock:
                if turn.standing:
                    self._line.remove(turn)
                    if _subtract_one(self._standing, loop):
                        self._end_watch(loop)
                self.wake()

    def pass_by(
        self, loop: asyncio.AbstractEventLoop, obstacle: Callable[[], Obstacle | None], enter: Callable[[], T]
    ) -> tuple[Waits, T] | None:
        """Take a slot as `wait` does where nobody stands in line and nothing is in the way; None where something is."""
        with self.lock:
            if self._others.asked:
                self._others.turns(loop)
            if self._line or obstacle() is not None:
                return None
            self._take(loop)
            return _NO_WAITS, enter()

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give back a slot that was taken in a loop."""
        with self.lock:
            if loop in self._slots:
                self._taken -= 1
                if _subtract_one(self._slots, loop) and loop not in self._standing:
                    self._others.forget(loop)
            self.wake()

    def wake(self) -> None:
        """Let the head look again: something has changed. To be called under the lock."""
        while self._line:
            turn = self._first()
            woken, turn.woken = turn.woken, None
            if woken is None or _call_in(turn.loop, _set, woken):
                return
            self._forget(turn.loop)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        self._taken += 1
        self._slots[loop] = self._slots.get(loop, 0) + 1

    def _first(self) -> _Turn:
        still = self._others.still
        return next((turn for turn in self._line if turn.loop not in still), self._line[0]) if still else self._line[0]

    def _begin_pause(self, turn: _Turn, reason: str, seconds: float) -> None:
        self._sums = self._seconds()
        self.reason, self._head = reason, turn
        self._since = self._clock.monotonic()
        self._until = self._since + seconds

    async def _pause(self, turn: _Turn, woken: asyncio.Future[None], seconds: float) -> None:
        """Wait until the time is over or something has changed."""
        try:
            await (woken if seconds == math.inf else self._sleep_or(woken, seconds))
        finally:
            with self.lock:
                if self._head is turn:
                    self._sums = self._seconds()
                    self.reason = self._head = None

    async def _sleep_or(self, woken: asyncio.Future[None], seconds: float) -> None:
        ends = [woken, asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            for end in ends:
                end.cancel()

    def _seconds(self) -> dict[str, float]:
        """Return the seconds so far, by reason."""
        sums = dict(self._sums)
        if self.reason is not None:
            sums[self.reason] += self._clock.monotonic() - self._since
        return sums

    def _watch_others(self, loop: asyncio.AbstractEventLoop) -> None:
        """From a loop in which somebody waits, look every PATIENCE seconds whether the others turn."""
        if loop not in self._watches:
            self._watches[loop] = None
            self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        with self.lock:
            others = (self._standing.keys() | self._slots.keys()) - {loop}
            if not others or loop not in self._watches:
                self._end_watch(loop)
                return
            for other in others:
                if not self._others.ask(other, self._answered):
                    self._forget(other)
            self._watches[loop] = loop.call_later(PATIENCE, self._look, loop)
            self.wake()

    def _end_watch(self, loop: asyncio.AbstractEventLoop) -> None:
        watch = self._watches.pop(loop, None)
        if watch is not None:
            watch.cancel()
        if loop not in self._slots:
            self._others.forget(loop)

    def _answered(self, loop: asyncio.AbstractEventLoop) -> None:
        with self.lock:
            if self._others.turns(loop):
                self.wake()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop a loop that is closed, with what it has left behind."""
        for turn in self._line:
            turn.standing = turn.loop is not loop
        self._line = deque(turn for turn in self._line if turn.standing)
        self._standing.pop(loop, None)
        self._taken -= self._slots.pop(loop, 0)
        self._end_watch(loop)


class _OtherLoops:
    """Which event loops were `asked` whether they turn, and which of them do not (`still`). Used under the lock of a line."""

    def __init__(self, clock: Clock) -> None:
        self.still: set[asyncio.AbstractEventLoop] = set()
        self._clock = clock
        self.asked: dict[asyncio.AbstractEventLoop, float] = {}

    def turns(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Note that a loop turns, because this is called in it; return whether it was taken for one that stands still."""
        self.asked.pop(loop, None)
        was_still = loop in self.still
        self.still.discard(loop)
        return was_still

    def ask(self, loop: asyncio.AbstractEventLoop, answer: Callable[[asyncio.AbstractEventLoop], None]) -> bool:
        """Have a loop call `answer`, and judge it by whether it has done so since it was asked; False when it is closed."""
        now = self._clock.monotonic()
        if loop.is_closed() or (loop not in self.asked and not _call_in(loop, answer, loop)):
            return False
        if now - self.asked.setdefault(loop, now) >= PATIENCE or not loop.is_running():
            self.still.add(loop)
        return True

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop a loop that is not waited for."""
        self.still.discard(loop)
        self.asked.pop(loop, None)


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[T], object], argument: T) -> bool:
    """Call in a loop: at once where it is the running one, soon where it is another; False when it is closed."""
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        call(argument)
        return True
    try:
        loop.call_soon_threadsafe(call, argument)
    except RuntimeError:
        return False
    return True


def _set(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _subtract_one(counts: dict[asyncio.AbstractEventLoop, int], loop: asyncio.AbstractEventLoop) -> bool:
    """Count one less; return whether it was the last."""
    counts[loop] -= 1
    if counts[loop]:
        return False
    del counts[loop]
    return True
