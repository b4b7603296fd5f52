"""A batch may be larger than the memory: its requests and its replies pass through, line by line."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from asyncrun.batches.anthropic import AnthropicBatches
from asyncrun.batches.interface import BatchRequest, ProviderBatch
from asyncrun.batches.openai import OpenAIBatches
from asyncrun.testing import FakeClock
from asyncrun.testing.batches import TAG
from tests.depth import DEEP

LINES = 50_000
TEXT = "x" * 4_000
"""Together 200 MB, the most that OpenAI takes."""
MOST = 16_000_000
"""Bytes that are in use at once, of Python's own counting."""


class Mill:
    """A server that counts what comes, keeps none of it, and sends as many replies as there are lines."""

    def __init__(self) -> None:
        self.bytes = 0
        self.tail = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            left = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
            while left:
                piece = await reader.read(min(left, 2**16))
                left -= len(piece)
                self.bytes += len(piece)
                self.tail = (self.tail + piece)[-100:]
            if head.startswith(b"GET"):
                await self._send_lines(writer)
            else:
                body = b'{"id": "an-id", "processing_status": "in_progress", "created_at": "2024-08-20T16:37:24Z"}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
                await writer.drain()
        finally:
            writer.close()

    async def _send_lines(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for number in range(LINES):
            line = f'{{"custom_id": "{TAG}-{number}", "response": {{"status_code": 200, "body": {{"text": "{TEXT}"}}}}, "error": null}}\n'
            writer.write(line.encode())
            await writer.drain()


@pytest_asyncio.fixture
async def mill() -> AsyncIterator[tuple[Mill, str]]:
    mill = Mill()
    server = await asyncio.start_server(mill.serve, "127.0.0.1", 0)
    yield mill, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    server.close()
    await server.wait_closed()


def requests() -> list[BatchRequest]:
    return [BatchRequest(f"{TAG}-{number}", {"input": [TEXT]}) for number in range(LINES)]


@pytest.mark.skipif(not DEEP, reason="200 MB up and down: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.asyncio
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_50_000_lines_of_200_mb_pass_through(mill: tuple[Mill, str], provider: str) -> None:
    server, url = mill
    about = {
        "model": "m",
        "purpose": "chat",
        "base_url": url,
        "api_key": "a-secret-key-of-ours",
        "clock": FakeClock(),
        "rng": random.Random(1),
    }
    endpoint = OpenAIBatches(**about) if provider == "openai" else AnthropicBatches(**about)
    lines = requests()
    tracemalloc.start()
    try:
        if provider == "openai":
            assert await endpoint.upload(iter(lines), TAG) == "an-id"
            assert server.tail.endswith(b"--\r\n")
        else:
            assert isinstance(await endpoint.create(iter(lines), None, TAG), ProviderBatch)
            assert server.tail.endswith(b"}]}")
        assert server.bytes > LINES * len(TEXT)
        batch = ProviderBatch("b", TAG, endpoint.read({"id": "b", "status": "completed"}).state, "", reply_files=("out",), has_replies=True)
        if provider == "openai":
            count = 0
            async for reply in endpoint.replies(batch):
                count += reply.reason is None
            assert count == LINES
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
        await endpoint.aclose()
