"""Requests to a batch endpoint over a line that breaks: what may be sent twice is, what may not is sent once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from asyncrun.aio.retry import RetryPolicy
from asyncrun.batches.interface import BatchRequest, Refusal
from asyncrun.batches.openai import AzureBatches, OpenAIBatches
from asyncrun.errors import EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.testing import FakeClock
from asyncrun.testing.batches import TAG

BATCH = b'{"id": "batch_1", "status": "completed", "input_file_id": "in", "output_file_id": "out"}'
LINES = b"".join(
    b'{"custom_id": "%s-%d", "response": {"status_code": 200, "body": {"n": %d}}, "error": null}\n' % (TAG.encode(), number, number)
    for number in range(2000)
)


class Line:
    """A server that answers each request with the next of its replies, as bytes, and then hangs up; None: without a word."""

    def __init__(self, replies: Sequence[bytes | None]) -> None:
        self.left, self.requests, self.heads = list(replies), list[str](), list[bytes]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
            await reader.readexactly(length)
            self.heads.append(head)
            self.requests.append(head.split(b"\r\n")[0].decode())
            writer.write((self.left.pop(0) if self.left else None) or b"")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def reply(status: int, body: bytes, length: int | None = None, headers: str = "") -> bytes:
    """Return a reply; it may announce more than it sends."""
    announced = len(body) if length is None else length
    return f"HTTP/1.1 {status} X\r\nContent-Length: {announced}\r\nConnection: close\r\n{headers}\r\n".encode() + body


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens an adapter at a server with these replies."""
    opened: list[tuple[asyncio.Server, OpenAIBatches]] = []

    async def start(*replies: bytes | None, adapter: type[OpenAIBatches] = OpenAIBatches, **settings: Any) -> tuple[OpenAIBatches, Line]:
        line = Line(replies)
        server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        about = {"rng": random.Random(1), "clock": FakeClock(), "retry": RetryPolicy(attempts=3), "timeout": 5.0}
        about |= {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "a-secret-key-of-ours", **settings}
        endpoint = adapter(model="m", purpose="chat", **about)
        opened.append((server, endpoint))
        return endpoint, line

    yield start
    for server, endpoint in opened:
        await endpoint.aclose()
        server.close()
        await server.wait_closed()


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [None, reply(500, b"{}"), reply(429, b'{"error": {"message": "Rate limit"}}'), reply(200, b"<html>")])
async def test_what_only_asks_is_asked_again(connect: Callable[..., Any], fault: bytes | None) -> None:
    endpoint, line = await connect(fault, fault, reply(200, BATCH))
    assert (await endpoint.get("batch_1")).id == "batch_1"
    assert len(line.requests) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (None, OutageError),
        (reply(503, b""), OutageError),
        (reply(429, b"", headers="Retry-After: 7200\r\n"), ThrottledError),
        (reply(402, b""), QuotaError),
        (reply(302, b"", headers="Location: https://elsewhere\r\n"), EndpointError),
        (reply(200, b'{"object": "list"}'), EndpointError),
    ],
)
async def test_what_does_not_pass_ends_with_the_error_of_online(connect: Callable[..., Any], fault: bytes | None, error: Any) -> None:
    endpoint, _ = await connect(*[fault] * 10)
    with pytest.raises(error):
        await endpoint.get("batch_1")


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [None, reply(500, b""), reply(502, b"<html>"), reply(200, b"{}"), reply(200, BATCH, length=10_000)])
async def test_a_submission_of_which_nobody_knows_is_sent_once(connect: Callable[..., Any], fault: bytes | None) -> None:
    endpoint, line = await connect(fault, reply(200, BATCH))
    assert await endpoint.create([], "file-1", TAG) is None
    assert len(line.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "full", "absent"),
    [
        (reply(429, b'{"error": {"message": "Too many batches"}}'), True, False),
        (reply(400, b'{"error": {"message": "Enqueued token limit reached for m."}}'), True, False),
        (reply(400, b'{"error": {"message": "Invalid value: completion_window"}}'), False, False),
        (reply(404, b'{"error": {"message": "No such File object: file-1"}}'), False, True),
        (reply(403, b'{"error": {"message": "You do not have permission to access the File 1 or it may not exist."}}'), False, True),
    ],
)
async def test_a_submission_that_is_not_taken_says_why(connect: Callable[..., Any], fault: bytes, full: bool, absent: bool) -> None:
    endpoint, line = await connect(fault)
    refusal = await endpoint.create([], "file-1", TAG)
    assert isinstance(refusal, Refusal)
    assert (refusal.full, refusal.absent) == (full, absent)
    assert len(line.requests) == 1


@pytest.mark.asyncio
async def test_a_submission_that_reaches_nobody_was_not_made(connect: Callable[..., Any]) -> None:
    endpoint, _ = await connect(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(OutageError, match="cannot reach"):
        await endpoint.create([], "file-1", TAG)


@pytest.mark.asyncio
async def test_a_download_that_breaks_goes_on_where_it_broke(connect: Callable[..., Any]) -> None:
    whole = len(LINES)
    parts = [reply(200, LINES[:size], length=whole) for size in (0, 70_001, 70_001, 150_000)]
    endpoint, line = await connect(reply(200, BATCH), *parts, reply(200, LINES))
    batch = await endpoint.get("batch_1")
    numbers = [each.body["n"] async for each in endpoint.replies(batch)]
    assert numbers == list(range(2000))
    assert line.requests[1:] == ["GET /v1/files/out/content HTTP/1.1"] * 5


@pytest.mark.asyncio
async def test_a_download_that_never_gets_on_ends(connect: Callable[..., Any]) -> None:
    parts = [reply(200, LINES[:1000], length=len(LINES))] * 10
    endpoint, line = await connect(reply(200, BATCH), *parts)
    batch = await endpoint.get("batch_1")
    with pytest.raises(OutageError):
        [each async for each in endpoint.replies(batch)]
    assert len(line.requests) < 8


@pytest.mark.asyncio
async def test_replies_may_be_left_in_the_middle(connect: Callable[..., Any]) -> None:
    endpoint, _ = await connect(reply(200, BATCH), reply(200, LINES))
    replies = endpoint.replies(await endpoint.get("batch_1"))
    assert (await anext(replies)).body == {"n": 0}
    await replies.aclose()


@pytest.mark.asyncio
async def test_an_upload_is_sent_again_whole(connect: Callable[..., Any]) -> None:
    endpoint, line = await connect(None, reply(503, b""), reply(200, b'{"id": "file-1"}'))
    assert await endpoint.upload((BatchRequest(f"{TAG}-{n}", {"n": n}) for n in range(5000)), TAG) == "file-1"
    assert len(line.requests) == 3


@pytest.mark.asyncio
async def test_a_file_of_azure_is_named_when_it_can_be_used(connect: Callable[..., Any]) -> None:
    files = [reply(200, b'{"id": "file-1", "status": "%s"}' % status) for status in (b"pending", b"Pending", b"running", b"Processed")]
    endpoint, line = await connect(*files, adapter=AzureBatches)
    assert await endpoint.upload([BatchRequest(f"{TAG}-0", {})], TAG) == "file-1"
    assert line.requests[1:] == ["GET /v1/openai/v1/files/file-1 HTTP/1.1"] * 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "error"),
    [(b'"error", "status_details": "bad lines"', EndpointError), (b'"pending"', OutageError)],
)
async def test_a_file_that_azure_does_not_take_is_told(connect: Callable[..., Any], status: bytes, error: Any) -> None:
    endpoint, _ = await connect(*[reply(200, b'{"id": "file-1", "status": %s}' % status)] * 300, adapter=AzureBatches)
    with pytest.raises(error, match="bad lines" if error is EndpointError else "within"):
        await endpoint.upload([BatchRequest(f"{TAG}-0", {})], TAG)


@pytest.mark.asyncio
async def test_a_file_that_is_somewhere_else_is_fetched_there_and_the_key_stays(connect: Callable[..., Any]) -> None:
    elsewhere, there = await connect(reply(200, LINES))
    moved = [reply(302, b"", headers=f"Location: {place}\r\n") for place in ("/v1/moved", f"http://{elsewhere.host}/signed?by=them")]
    endpoint, line = await connect(reply(200, BATCH), *moved)
    numbers = [each.body["n"] async for each in endpoint.replies(await endpoint.get("batch_1"))]
    assert numbers == list(range(2000))
    assert line.requests[2] == "GET /v1/moved HTTP/1.1"
    assert there.requests == ["GET /signed?by=them HTTP/1.1"]
    assert [b"a-secret-key-of-ours" in head for head in [*line.heads, *there.heads]] == [True, True, True, False]


@pytest.mark.asyncio
async def test_what_goes_in_circles_ends(connect: Callable[..., Any]) -> None:
    endpoint, line = await connect(reply(200, BATCH), *[reply(302, b"", headers="Location: /v1/files/out/content\r\n")] * 20)
    with pytest.raises(EndpointError, match="redirects"):
        [each async for each in endpoint.replies(await endpoint.get("batch_1"))]
    assert len(line.requests) < 8


@pytest.mark.asyncio
async def test_what_cannot_be_removed_is_told_and_the_rest_goes(connect: Callable[..., Any]) -> None:
    said: list[str] = []
    replies = [reply(400, b'{"error": {"message": "This name is too long"}}'), reply(200, b'{"deleted": true}')]
    endpoint, line = await connect(reply(200, BATCH), *replies, warn=said.append)
    assert await endpoint.delete(await endpoint.get("batch_1")) == 1
    assert len(line.requests) == 3
    assert "too long" in said[0]


@pytest.mark.asyncio
async def test_a_key_in_the_words_about_a_line_is_not_shown(connect: Callable[..., Any]) -> None:
    error = b'{"error": {"message": "Incorrect API key: a-secret-key-of-ours"}}'
    lines = b'{"custom_id": "%s-0", "response": {"status_code": 401, "body": %s}}' % (TAG.encode(), error)
    endpoint, _ = await connect(reply(200, BATCH), reply(200, lines))
    [failed] = [each async for each in endpoint.replies(await endpoint.get("batch_1"))]
    assert failed.again
    assert "a-secret-key" not in failed.message
    assert "Incorrect API key" in failed.message
