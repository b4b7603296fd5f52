"""A worker in a process of its own: calls come in by a socket, answers go out; it ends with whoever has started it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from asyncrun.executors.frames import Connection, Kind, decode, encode_answer, unreadable
from asyncrun.executors.worker import Raised, Returned, Worker, WorkerWarnings


def main() -> None:
    """Serve calls until the driver closes the socket, whose descriptor is the argument; standard input is never written to."""
    calls = socket.socket(fileno=int(sys.argv[1]))
    calls.set_inheritable(False)
    with suppress(ValueError, OSError):  # nobody may raise what is lower already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what is in memory goes to no file
    # A process that a library forks would keep the socket open, and the end of this one unnoticed.
    os.register_at_fork(after_in_child=calls.close)
    _end_with(os.dup(sys.stdin.fileno()))
    _leave_nothing_at(sys.stdin.fileno(), os.O_RDONLY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the driver, which gives calls their grace
    with WorkerWarnings().listening() as warnings:
        asyncio.run(_serve(calls, warnings))


async def _serve(calls: socket.socket, warnings: WorkerWarnings) -> None:
    ended = asyncio.Event()
    serving = _Serving(Worker(warnings.take), ended)
    connection = serving.connection = Connection(serving.received, ended.set)
    await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=calls)
    connection.send(Kind.READY, os.getpid())
    # What went wrong at the start was told there; from now on parts are here, and what libraries print may be anything.
    _leave_nothing_at(sys.stderr.fileno(), os.O_WRONLY)
    await ended.wait()
    await serving.aclose()


@dataclass(eq=False)
class _Serving:
    """The calls that run here, by their numbers."""

    worker: Worker
    ended: asyncio.Event
    connection: Connection = field(init=False)
    parts: dict[int, Any] = field(default_factory=dict)
    calls: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def received(self, kind: Kind, number: int, body: memoryview) -> None:
        """Take a message of the driver."""
        if kind is Kind.PART:
            self.parts[number] = body
        elif kind is Kind.CALL:
            self.calls[number] = asyncio.create_task(self._answer(number, body))
        elif kind is Kind.CANCEL and number in self.calls:
            self.calls[number].cancel()
        elif kind is Kind.CLOSE:
            self.ended.set()

    async def aclose(self) -> None:
        """Cancel the calls, and close the parts."""
        await self.worker.aclose(list(self.calls.values()))

    async def _answer(self, number: int, body: memoryview) -> None:
        answer: Returned | Raised | None = None
        with suppress(asyncio.CancelledError):  # it is answered with nothing
            answer = await self._called(body)
        del self.calls[number]
        self.connection.send(Kind.ANSWER, number, encode_answer(answer))

    async def _called(self, body: memoryview) -> Returned | Raised:
        try:
            number, method, arguments = decode(body)
            if isinstance(self.parts[number], memoryview):
                self.parts[number] = decode(self.parts[number])
        except Exception as error:  # whatever is pickled there
            return unreadable(error)
        return await self.worker.call(self.parts[number], method, arguments)


def _end_with(lifeline: int) -> None:
    """Have this process end when nobody holds the other end of a pipe: whoever has started it is gone, however it went."""
    if sys.platform == "linux":  # The kernel sees to it: a library may hold the interpreter, and no thread gets a turn.
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)  # one that is stopped is to end, too
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
    threading.Thread(target=_wait_for_end, args=(lifeline,), name="asyncrun lifeline", daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    watch = select.poll()
    watch.register(lifeline, 0)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll()):
        pass
    os._exit(0)


def _leave_nothing_at(descriptor: int, mode: int) -> None:
    """Put nothing in the place of a standard stream: a library may read or print."""
    nothing = os.open(os.devnull, mode)
    os.dup2(nothing, descriptor)
    os.close(nothing)
