"""A file of replies is read line by line, whatever is wrong with some of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from asyncrun.batches.reply_lines import LeftOut, documents_in, failure, grpc_status, read_line

GOOD = {"id": "batch_req_1", "custom_id": "a-1", "response": {"status_code": 200, "request_id": "r", "body": {"data": []}}, "error": None}


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, size: int = 10) -> tuple[list[dict[str, Any]], LeftOut]:
    left_out = LeftOut()
    return [document async for document in documents_in(in_pieces(data, size), left_out)], left_out


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_come_whole_however_they_are_cut(size: int) -> None:
    data = b'{"a": 1}\n{"b": "\xc3\xa4"}\r\n\n  \n{"c": 3}'
    assert await read(data, size) == ([{"a": 1}, {"b": "ä"}, {"c": 3}], LeftOut())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 1000])
async def test_a_mark_of_the_byte_order_is_passed_over(size: int) -> None:
    assert await read(b'\xef\xbb\xbf{"a": 1}\n{"b": 2}\n', size) == ([{"a": 1}, {"b": 2}], LeftOut())
    assert await read(b'\xef\xbb\xbf{"a": 1}', size) == ([{"a": 1}], LeftOut())


@pytest.mark.asyncio
async def test_what_is_no_object_is_left_out_and_counted() -> None:
    documents, left_out = await read(b'{"a": 1}\nnonsense\n[1]\nnull\n"text"\n{"custom_id": "half')
    assert documents == [{"a": 1}]
    assert left_out == LeftOut(unreadable=5)
    assert left_out.sentence("batch_1\x1b[31m") == "5 lines of the replies of batch_1\\x1b[31m were left out: 5 cannot be read"


@pytest.mark.asyncio
async def test_an_empty_file_has_no_lines() -> None:
    assert await read(b"") == ([], LeftOut())
    assert LeftOut().sentence("batch_1") is None


def test_a_reply_has_the_body_that_it_has_online() -> None:
    reply = read_line(GOOD)
    assert reply is not None
    assert (reply.custom_id, reply.body, reply.reason) == ("a-1", {"data": []}, None)


@pytest.mark.parametrize("custom_id", [None, 7, ["a"]])
def test_a_line_without_an_id_is_no_reply(custom_id: object) -> None:
    assert read_line({**GOOD, "custom_id": custom_id}) is None


CONTEXT = {"error": {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"}}
FILTER = {
    "error": {"code": "content_filter", "message": "The response was filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
}


@pytest.mark.parametrize(
    ("response", "error", "reason", "again"),
    [
        ({"status_code": 400, "body": CONTEXT}, None, "too_long", False),
        ({"status_code": 400, "body": {"error": {"message": "Cannot do that", "type": "invalid_request_error"}}}, None, "refused", False),
        ({"status_code": 400, "body": FILTER}, None, "filtered", False),
        ({"status_code": 500, "body": {"error": {"message": "The server had an error"}}}, None, "server_error", True),
        ({"status_code": 429, "body": {"error": {"message": "Rate limit reached"}}}, None, "server_error", True),
        (
            {"status_code": 429, "body": {"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}},
            None,
            "server_error",
            True,
        ),
        ({"status_code": 401, "body": {"error": {"message": "Incorrect API key"}}}, None, "server_error", True),
        ({"status_code": 200, "body": {"error": {"message": "odd"}}}, None, "bad_response", False),
        ({"status_code": 200, "body": None}, None, "bad_response", True),
        ({"status_code": 200, "body": "text"}, None, "bad_response", False),
        ({"status_code": "200", "message": "Request timed out"}, None, "refused", False),
        ({"status_code": 503, "message": "Overloaded"}, None, "server_error", True),
        (None, {"code": "batch_expired", "message": "This request could not be executed in time."}, "server_error", True),
        (None, {"code": "batch_cancelled", "message": "The batch was cancelled."}, "server_error", True),
        (None, {"code": "server_error", "message": "Oh no."}, "server_error", True),
        (None, {"code": "invalid_request", "message": "Bad body."}, "refused", False),
        (None, "internal error", "server_error", True),
        (None, None, "bad_response", True),
        ({}, {}, "bad_response", True),
    ],
)
def test_a_line_that_failed_has_the_reason_that_it_has_online(response: object, error: object, reason: str, again: bool) -> None:
    reply = read_line({"custom_id": "a-1", "response": response, "error": error})
    assert reply is not None
    assert (reply.body, reply.reason, reply.again) == (None, reason, again)
    assert reply.message


def test_the_words_of_a_provider_are_short_and_hold_no_control_characters() -> None:
    reply = failure("a-1", 400, {"error": {"message": "\x1b[31m" + "x" * 10_000}})
    assert "\x1b" not in reply.message
    assert len(reply.message) <= 210


@pytest.mark.parametrize(("code", "status"), [(3, 400), (8, 429), (13, 500), (14, 503), (16, 401), (99, 500), (400, 400), (None, 400)])
def test_codes_of_grpc_are_statuses(code: object, status: int) -> None:
    assert grpc_status(orjson.loads(orjson.dumps({"code": code}))) == status
