"""Parts that the contract suite of executors has workers open: without pytest, which a worker need not have."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RehearsalPart:
    """A part that writes what becomes of it into a folder which all workers see: a line `opened PID` or `closed PID` each time.

    `refuses` is what it raises instead of being opened.
    """

    folder: str
    secret: str = field(default="", repr=False)
    refuses: Exception | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Rehearsal]:
        """Open it."""
        if self.refuses is not None:
            raise self.refuses
        opened = Rehearsal(self)
        await opened.note("opened")
        yield opened
        await opened.note("closed")

    def notes(self) -> list[str]:
        """Return the first word of each line that was written, in their order."""
        file = Path(self.folder, "notes")
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


class Rehearsal:
    """What a worker calls: it gives back, raises, waits or ends, as it is told."""

    def __init__(self, part: RehearsalPart) -> None:
        self._part = part
        self._met = asyncio.Event()
        self._waiting = 0

    async def note(self, what: str) -> None:
        """Write a line into the part's folder."""
        await asyncio.to_thread(_append, Path(self._part.folder, "notes"), f"{what} {os.getpid()}\n")

    async def give_back(self, value: Any) -> Any:
        """Return what it is given."""
        return value

    async def ones(self, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return so many numbers."""
        return np.ones(count, np.float32)

    async def raise_it(self, error: Exception) -> None:
        """Raise an error."""
        raise error

    async def meet(self, others: int) -> int:
        """Wait until so many calls are in here at once, and return how many there are."""
        self._waiting += 1
        if self._waiting == others:
            self._met.set()
        await self._met.wait()
        return self._waiting

    async def hang(self) -> None:
        """Wait for ever; to be cancelled is written down."""
        try:
            await self.note("hanging")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.note("cancelled")
            raise

    async def complain(self, sentence: str) -> None:
        """Log a warning, and print what would be in the way of a program that reads what this process writes."""
        logging.getLogger("rehearsal").warning(sentence)
        print(sentence)  # noqa: T201 (it is what libraries do)

    async def process(self) -> dict[str, str]:
        """Return what anybody may see of this process: its number, its arguments and its environment."""
        shown = {name: _shown(name) for name in ("cmdline", "environ")}
        return {"pid": str(os.getpid()), **shown, "environment": repr(dict(os.environ))}

    async def hold(self) -> None:
        """Keep the interpreter to itself for longer than anybody waits: no thread and no handler of signals gets a turn."""
        await self.note("holding")
        re.match("(a+)+$", "a" * 60 + "b")

    async def leave_a_child(self) -> int:
        """Fork, as libraries do, a process that lives on until it is ended, and return its number."""
        child = os.fork()
        if child == 0:
            signal.pause()
        return child

    async def return_a_coroutine(self) -> Any:
        """Return what cannot be sent."""
        coroutine = asyncio.sleep(0)
        coroutine.close()
        return coroutine

    async def end(self, code: int) -> None:
        """End this process with an exit code."""
        sys.exit(code)

    async def die(self, number: int = signal.SIGKILL) -> None:
        """End this process by a signal."""
        os.kill(os.getpid(), number)


def _append(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(line)


def _shown(name: str) -> str:
    file = Path("/proc/self", name)
    return file.read_bytes().decode(errors="replace") if file.exists() else ""
