"""Message batches as Anthropic describes them (the types of its client)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.batches.interface import BatchReply, BatchState, ProviderBatch
from asyncrun.errors import ArgumentError

Make = Callable[..., Any]
BATCH = {
    "id": "msgbatch_01",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 95, "errored": 3, "canceled": 1, "expired": 1},
    "ended_at": "2024-08-20T18:37:24.100435Z",
    "created_at": "2024-08-20T16:37:24.100435Z",
    "expires_at": "2024-08-21T16:37:24.100435Z",
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": "https://elsewhere.example/results",
}


def test_a_batch_that_has_ended_is_read_whole(adapter: Make) -> None:
    assert adapter("anthropic").read(BATCH) == ProviderBatch(
        id="msgbatch_01",
        tag=None,
        state=BatchState.ENDED,
        word="ended",
        created=1724171844.100435,
        total=100,
        succeeded=95,
        failed=3,
        has_replies=True,
    )


def test_before_the_end_all_requests_are_in_progress(adapter: Make) -> None:
    counts = {"processing": 100, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    batch = adapter("anthropic").read({**BATCH, "processing_status": "in_progress", "request_counts": counts})
    assert (batch.state, batch.total, batch.has_replies) == (BatchState.WAITING, 100, False)


def test_what_is_archived_has_no_replies(adapter: Make) -> None:
    assert not adapter("anthropic").read({**BATCH, "archived_at": "2024-09-20T16:37:24Z"}).has_replies


def test_replies_are_fetched_where_the_key_belongs(adapter: Make) -> None:
    anthropic = adapter("anthropic")
    [address] = anthropic.addresses_of_replies(anthropic.read(BATCH))
    assert address == "https://api.anthropic.com/v1/messages/batches/msgbatch_01/results"


@pytest.mark.parametrize(
    "base_url", [None, "https://api.anthropic.com", "https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"]
)
def test_the_address_of_online_requests_is_enough(adapter: Make, base_url: str | None) -> None:
    assert adapter("anthropic", base_url=base_url).address_of("b") == "https://api.anthropic.com/v1/messages/batches/b"


MESSAGE = {"id": "msg_1", "type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}


def errored(kind: str, message: str) -> dict[str, Any]:
    return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": message}}}


@pytest.mark.parametrize(
    ("result", "reason", "again"),
    [
        (errored("invalid_request_error", "max_tokens: must be at least 1"), "refused", False),
        (errored("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), "too_long", False),
        (errored("overloaded_error", "Overloaded"), "server_error", True),
        (errored("api_error", "Internal server error"), "server_error", True),
        (errored("rate_limit_error", "Slow down"), "server_error", True),
        (errored("billing_error", "No credit"), "server_error", True),
        ({"type": "errored", "error": {"type": "api_error", "message": "Internal"}}, "server_error", True),
        ({"type": "expired"}, "server_error", True),
        ({"type": "canceled"}, "server_error", True),
        ({"type": "succeeded", "message": None}, "bad_response", True),
        ({}, "bad_response", True),
        (None, "bad_response", True),
    ],
)
def test_a_request_that_failed_has_a_reason(adapter: Make, result: object, reason: str, again: bool) -> None:
    reply = adapter("anthropic").read_reply({"custom_id": "a-1", "result": result})
    assert (reply.body, reply.reason, reply.again) == (None, reason, again)


def test_a_reply_is_the_message_of_online(adapter: Make) -> None:
    read = adapter("anthropic").read_reply
    assert read({"custom_id": "a-1", "result": {"type": "succeeded", "message": MESSAGE}}) == BatchReply("a-1", MESSAGE)
    assert read({"result": {"type": "succeeded", "message": MESSAGE}}) is None


def test_there_are_no_embeddings(adapter: Make) -> None:
    with pytest.raises(ArgumentError):
        adapter("anthropic", "embeddings")
