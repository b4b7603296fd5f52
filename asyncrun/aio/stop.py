"""The stop of a run: set once when it must end early, by a signal, its max runtime or its budget."""

from __future__ import annotations

import asyncio

MAX_RUNTIME = "max runtime"
"""The reason of a stop that the user has planned: it is no trouble."""


class Stop:
    """Says whether a run must end early, and why: no new work starts, what is in flight may finish.

    The first reason stays. A signal that comes later is kept too, because the exit code speaks of it first.
    Use it from the thread of the run's event loop.

    >>> stop = Stop()
    >>> stop.requested
    False
    >>> stop.request("max runtime"); stop.requested, stop.reason
    (True, 'max runtime')
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._reason: str | None = None
        self._signal: int | None = None

    @property
    def requested(self) -> bool:
        """Whether the run must end."""
        return self._event.is_set()

    @property
    def reason(self) -> str | None:
        """Why the run must end; None while it need not."""
        return self._reason

    @property
    def signal(self) -> int | None:
        """The number of the signal that asked for it; None without."""
        return self._signal

    def request(self, reason: str, signal: int | None = None) -> None:
        """Ask the run to end; may be called again."""
        if self._reason is None:
            self._reason = reason
        if self._signal is None:
            self._signal = signal
        self._event.set()

    async def wait(self) -> None:
        """Return once the run must end."""
        await self._event.wait()
