"""A worker process as its driver sees it: how it is started, what is asked of it, and how it has ended."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import WorkerLostError, os_words
from asyncrun.executors.frames import Body, Connection, Kind, decode_answer
from asyncrun.executors.worker import Raised, Returned
from asyncrun.redact import inheritable

START_WITHIN = 60.0
"""Seconds in which a process has to be ready for calls."""
EXIT_WITHIN = 1.0
"""Seconds that a process has to end in, once its connection is gone."""
KILLED_WITHIN = 5.0
"""Seconds after which nobody waits for a process that was killed."""
_LOOK_INTERVAL = 0.005
_CALL = "import sys; sys.path[:] = {path!r}; from asyncrun.executors.process_worker import main; main()"
_SIGNALS: dict[int, str] = {
    signal.SIGKILL: "killed by SIGKILL, which the system does when memory runs out",
    signal.SIGSEGV: "segmentation fault (SIGSEGV)",
    signal.SIGBUS: "bus error (SIGBUS)",
    signal.SIGABRT: "aborted (SIGABRT)",
    signal.SIGILL: "illegal instruction (SIGILL)",
    signal.SIGFPE: "arithmetic error (SIGFPE)",
}


class StartError(Exception):
    """A worker process could not be started; its sentence says why."""


@dataclass(eq=False, slots=True)
class Call:
    """A call on its way: a part and its number, the arguments, and where the answer goes; `sent` is when a worker was given it."""

    part: int
    part_body: Body = field(repr=False)
    body: Body = field(repr=False)
    answered: asyncio.Future[Returned | Raised]
    sent: float = 0.0
    worker: str = ""


class ChildProcess:
    """One worker process; `changed` is called when it has room again, and when it is lost."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.name = "a process that has not started"
        self.lost = False
        self._changed = changed
        self._connection = Connection(self._received, self._connection_lost)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[int, Call] = {}
        self._parts: set[int] = set()
        self._numbers = itertools.count()

    @property
    def busy(self) -> int:
        """Return how many calls it has been given and has not answered."""
        return len(self._calls)

    async def start(self) -> None:
        """Start it, and wait until it is ready. Raises StartError; then, and when this is cancelled, no process is left."""
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise

    async def _begin(self) -> None:
        try:
            ours, theirs = socket.socketpair()
            self._process = await _surely(asyncio.to_thread(_spawn, theirs), ours)
            self.name = f"pid {self._process.pid}"
            await asyncio.get_running_loop().create_unix_connection(lambda: self._connection, sock=ours)
            async with asyncio.timeout(START_WITHIN):
                await self._ready
        except TimeoutError:
            raise StartError(f"it was not ready within {START_WITHIN:.0f} s") from None
        except EOFError:
            how, said = _how_it_ended(await self._exit_code(EXIT_WITHIN)), self._last_words()
            raise StartError(f"{how}: {said}" if said else how) from None
        except OSError as error:
            raise StartError(f"{sys.executable}: {os_words(error)}") from error

    def submit(self, call: Call, now: float) -> None:
        """Give it a call; the answer, or the error, comes to the call's future."""
        number = next(self._numbers)
        self._calls[number] = call
        if call.part not in self._parts:
            self._parts.add(call.part)
            self._connection.send(Kind.PART, call.part, call.part_body)
        self._connection.send(Kind.CALL, number, call.body)
        call.sent, call.worker = now, self.name
        call.answered.add_done_callback(lambda answered: self._cancel(number) if answered.cancelled() else None)

    async def bury(self) -> None:
        """Wait until a process whose connection is gone has ended, and tell its calls how."""
        how = _how_it_ended(await self._exit_code(EXIT_WITHIN))
        self.give_up(lambda: WorkerLostError(f"worker {self.name} was lost: {how}"))
        await self._end()

    def give_up(self, error: Callable[[], Exception]) -> None:
        """Let all calls that it has end with an error, each with its own."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if not call.answered.done():
                call.answered.set_exception(error())

    async def aclose(self, grace: float) -> None:
        """Have it cancel its calls, close its parts and end; after `grace` seconds it is ended."""
        self._connection.send(Kind.CLOSE, 0)
        try:
            await self._exit_code(grace)
        finally:
            await self._end()

    def _received(self, kind: Kind, number: int, body: memoryview) -> None:
        if kind is Kind.READY:
            self._ready.set_result(None)
            return
        call = self._calls.pop(number, None)
        if call is not None and not call.answered.done():
            call.answered.set_result(decode_answer(body))
        self._changed()

    def _connection_lost(self) -> None:
        self.lost = True
        if not self._ready.done():
            self._ready.set_exception(EOFError())
        self._changed()

    def _cancel(self, number: int) -> None:
        if number in self._calls:
            self._connection.send(Kind.CANCEL, number)

    async def _exit_code(self, patience: float) -> int:
        """Wait until it has ended; after `patience` seconds it is killed."""
        assert self._process is not None  # noqa: S101 (it was started)
        waited = 0.0
        while (code := self._process.poll()) is None:
            if waited >= patience:
                self._kill()
            if waited >= patience + KILLED_WITHIN:
                return -signal.SIGKILL
            await asyncio.sleep(_LOOK_INTERVAL)
            waited += _LOOK_INTERVAL
        return code

    def _kill(self) -> None:
        """End it, and what it has started, at once."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _end(self) -> None:
        """Leave nothing of it, whatever it does."""
        self._kill()
        self._connection.close()
        if self._process is not None:
            await self._exit_code(0)
            for pipe in (self._process.stdin, self._process.stderr):
                if pipe is not None:
                    pipe.close()

    def _last_words(self) -> str:
        """Return the last line that it printed before it was ready: nobody had told it a secret yet."""
        assert self._process is not None and self._process.stderr is not None  # noqa: S101 (it was started with a pipe)
        os.set_blocking(self._process.stderr.fileno(), False)
        with suppress(OSError):
            lines = os.read(self._process.stderr.fileno(), 1 << 16).decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]
        return ""


async def _surely(spawning: Coroutine[Any, Any, subprocess.Popen[bytes]], ours: socket.socket) -> subprocess.Popen[bytes]:
    """Return the process that a thread starts; who is cancelled meanwhile ends it."""
    task = asyncio.ensure_future(spawning)
    try:
        return await asyncio.shield(task)
    except BaseException:
        ours.close()
        with suppress(OSError), await task as process:
            process.kill()
        raise


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    with theirs:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _CALL.format(path=[entry for entry in sys.path if isinstance(entry, str)]), str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env=inheritable(os.environ),
            process_group=0,  # A Ctrl-C at the terminal is for whoever runs the job.
        )


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    number = -code
    if number in _SIGNALS:
        return _SIGNALS[number]
    return f"ended by {signal.Signals(number).name}" if number in set(signal.Signals) else f"ended by signal {number}"
