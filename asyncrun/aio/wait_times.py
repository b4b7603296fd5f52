"""What an attempt spends its seconds on, apart from the request itself."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Literal, Self

from asyncrun.aio.worker_state import waiting
from asyncrun.clock import Clock
from asyncrun.records import Waits

Part = Literal["connect", "decode"]


class Spending:
    """The parts of one attempt so far; `spending` adds to them while the block runs.

    Usage: `with Spending(clock) as spent: ... spent.waits()`
    """

    __slots__ = ("_began", "_clock", "_outer", "_parts")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._parts: dict[Part, float] = {"connect": 0.0, "decode": 0.0}
        self._outer: Spending | None = None

    def __enter__(self) -> Self:
        self._outer = _of_attempt.get()
        _of_attempt.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _of_attempt.set(self._outer)

    @contextmanager
    def on(self, part: Part) -> Generator[None, None, None]:
        """Count the seconds of the block as those of a part, and say so in the slot."""
        started = self._clock.monotonic()
        try:
            with waiting(part, idle=False):
                yield
        finally:
            self._parts[part] += self._clock.monotonic() - started

    def waits(self) -> Waits:
        """Return the seconds so far; what is no part is the request."""
        seconds = self._clock.monotonic() - self._began
        return Waits(request=max(seconds - sum(self._parts.values()), 0.0), **self._parts)


_of_attempt: ContextVar[Spending | None] = ContextVar("asyncrun_spending", default=None)


@contextmanager
def spending(part: Part) -> Generator[None, None, None]:
    """Count the seconds of the block as part of the attempt that is being made; outside of one it does nothing."""
    own = _of_attempt.get()
    if own is None:
        yield
        return
    with own.on(part):
        yield
