"""What the driver takes to send a request's body to a worker and take its vectors back: `measured_ship.py WHAT '{...}'` prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

AT_ONCE = 16


@dataclass(frozen=True)
class Replier:
    """A worker's part that answers each body with so many float32 numbers."""

    numbers: int

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Replier]:
        yield self

    async def reply(self, body: bytes) -> np.ndarray:
        return np.ones(self.numbers, np.float32)


def processes(body: int, reply: int, calls: int) -> float:
    """Return seconds of CPU a call, over the executor of the package."""
    from asyncrun.executors.processes import ProcessExecutor

    async def main() -> float:
        executor, part, sent = ProcessExecutor(1), Replier(reply // 4), bytes(body)

        async def some(count: int) -> None:
            for _ in range(count):
                await executor.run(part, "reply", sent)

        try:
            await some(1)
            began = time.process_time()
            await asyncio.gather(*(some(calls // AT_ONCE) for _ in range(AT_ONCE)))
            return (time.process_time() - began) / (calls // AT_ONCE * AT_ONCE)
        finally:
            await executor.aclose()

    return asyncio.run(main())


def bare(body: int, reply: int, calls: int) -> float:
    """Return the same for a bare pair of sockets on the event loop: the floor."""
    here, there = socket.socketpair()
    command = [sys.executable, __file__, "child", json.dumps({"file": there.fileno(), "body": body, "reply": reply})]
    worker = subprocess.Popen(command, pass_fds=[there.fileno()])
    there.close()
    here.setblocking(False)
    try:
        return asyncio.run(_calls(here, bytes(body), reply, calls)) / calls
    finally:
        here.close()
        worker.wait()


async def _calls(here: socket.socket, body: bytes, reply: int, calls: int) -> float:
    loop, began = asyncio.get_running_loop(), 0.0
    for call in range(calls + 1):
        if call == 1:  # the first one waits for the child
            began = time.process_time()
        await loop.sock_sendall(here, body)
        view = memoryview(bytearray(reply))
        while view:
            view = view[await loop.sock_recv_into(here, view) :]
    return time.process_time() - began


def child(file: int, body: int, reply: int) -> None:
    """Answer each body with as many bytes as vectors would have."""
    vectors = os.urandom(reply)
    with socket.socket(fileno=file) as there:
        while there.recv_into(bytearray(body), body, socket.MSG_WAITALL) == body:
            there.sendall(vectors)


if __name__ == "__main__":
    import measured_ship  # by its name, under which a worker can import it

    what: Any = getattr(measured_ship, sys.argv[1])
    found = what(**json.loads(sys.argv[2]))
    if found is not None:
        print(json.dumps(found))
