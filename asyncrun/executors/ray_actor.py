"""What runs in an actor of a Ray cluster: a worker that takes calls as bytes, and first of all says where and what it is."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import JobFailedError
from asyncrun.executors.frames import decode, encode_answer, unreadable
from asyncrun.executors.worker import Raised, Returned, Worker, WorkerWarnings
from asyncrun.ports import WorkerPart


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an actor says of itself: the address of its node, its process, the version of asyncrun there, and why it has none if so."""

    node: str
    pid: int
    version: str | None
    problem: str = ""

    @property
    def name(self) -> str:
        """Return how the worker is called."""
        return f"{self.node} pid {self.pid}"

    def refusal(self, version: str) -> JobFailedError | None:
        """Return why it cannot work for a driver of this version, None if it can.

        >>> print(Greeting("10.0.0.7", 81, None, "No module named 'asyncrun'").refusal("1.0"))
        node 10.0.0.7 has no asyncrun that works: No module named 'asyncrun'
        >>> print(Greeting("10.0.0.7", 81, "0.9").refusal("1.0"))
        node 10.0.0.7 has asyncrun 0.9, this process 1.0
        """
        if self.version == version:
            return None
        has = f"asyncrun {self.version}, this process {version}" if self.version else f"no asyncrun that works: {self.problem}"
        return JobFailedError(
            f"node {self.node} has {has}",
            hint=f"Install asyncrun {version} on every node, with the extras that the jobs need: docs/scale.md shows how.",
        )


def actor_class() -> type:
    """Return the class of the actors. A class of a function travels by value, so that a node without asyncrun can say so."""

    class AsyncrunWorker:
        def __init__(self) -> None:
            self._server: Any = None

        async def hello(self) -> tuple[str, int, str | None, str]:
            import os

            import ray

            node: str = ray.util.get_node_ip_address()
            try:
                import asyncrun
                from asyncrun.executors.ray_actor import CallServer
            except Exception as error:
                return node, os.getpid(), None, f"{error}"
            self._server = CallServer()
            return node, os.getpid(), asyncrun.__version__, ""

        async def call(self, part: bytes, call: bytes) -> bytes:
            answer: bytes = await self._server.answer(part, call)
            return answer

        async def watch(self) -> None:
            import asyncio

            await asyncio.Event().wait()

        async def aclose(self) -> None:
            if self._server is not None:
                await self._server.aclose()

    return AsyncrunWorker


@dataclass(eq=False)
class CallServer:
    """Answers calls that come as bytes; parts are known by their bytes."""

    _calls: set[asyncio.Task[Returned | Raised]] = field(default_factory=set, repr=False)
    _ending: ExitStack = field(default_factory=ExitStack, repr=False)
    _parts: dict[bytes, WorkerPart] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._worker = Worker(self._ending.enter_context(WorkerWarnings().listening()).take)

    async def answer(self, part: bytes, call: bytes) -> bytes:
        """Carry out a call, and return what it has returned or raised."""
        calling = asyncio.create_task(self._called(part, call))
        self._calls.add(calling)
        try:
            answer = await calling
        finally:
            self._calls.discard(calling)
        return encode_answer(answer).joined()

    async def aclose(self) -> None:
        """Cancel the calls, and close the parts."""
        await self._worker.aclose(list(self._calls))
        self._ending.close()

    async def _called(self, part: bytes, call: bytes) -> Returned | Raised:
        try:
            if part not in self._parts:
                self._parts[part] = decode(memoryview(part))
            method, arguments = decode(memoryview(bytearray(call)))
        except Exception as error:  # whatever is pickled there
            return unreadable(error)
        return await self._worker.call(self._parts[part], method, arguments)
