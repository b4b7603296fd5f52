"""Connections that were kept and are dead, as after a suspend or behind a gateway that forgets idle ones, cost nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.testing.server import FakeServer

ONE_ATTEMPT = RetryPolicy(attempts=1)


class Gateway:
    """Passes bytes on to a server; what it has forgotten it resets as soon as something comes."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.connections, self._forgotten = server, 0, 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gateway"]:
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", 0) as listening:
            self.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
            yield self

    def forget(self) -> None:
        """Forget all connections that there are."""
        self._forgotten = self.connections

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(self.server.base_url.rsplit(":", 1)[1].split("/")[0]))
        back = asyncio.create_task(_copy(there_reader, writer))
        while (data := await reader.read(2**16)) and number > self._forgotten:
            there_writer.write(data)
        writer.transport.abort()
        there_writer.transport.abort()
        await back


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)


@pytest.mark.asyncio
@pytest.mark.parametrize(("before", "after"), [(1, 1), (8, 8), (8, 1)])
async def test_a_request_that_meets_a_dead_connection_is_sent_again_and_uses_no_attempt(embedder_of, before: int, after: int) -> None:
    async with FakeServer(latency=0.05) as server, Gateway(server).open() as gateway, embedder_of(gateway, retry=ONE_ATTEMPT) as embedder:

        async def embed(*texts: str) -> list[str]:
            answers = await asyncio.gather(*(embedder.aembed([text]) for text in texts))
            assert [(answer.usage.requests, answer.usage.retries, answer.failures) for answer in answers] == [(1, 0, ())] * len(texts)
            return list(texts)

        sent = await embed("first")
        sent += await embed(*(f"before {number}" for number in range(before)))
        kept = gateway.connections
        assert kept >= min(before, 2)
        gateway.forget()
        sent += await embed(*(f"after {number}" for number in range(after)))
        assert sorted(server.sent_texts) == sorted(sent)
        assert gateway.connections > kept
