"""Operations as Gemini describes them, in each of the places where their parts were seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.batches.interface import BatchReply, BatchRequest, BatchState, ProviderBatch
from asyncrun.errors import ArgumentError

TAG = "0123456789abcdefghij"
Make = Callable[..., Any]
METADATA = {
    "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
    "model": "models/gemini-2.5-flash",
    "displayName": f"asyncrun-{TAG}",
    "state": "BATCH_STATE_SUCCEEDED",
    "createTime": "2025-07-20T12:00:00.123456789Z",
    "inputConfig": {"fileName": "files/in"},
    "batchStats": {"requestCount": "5", "successfulRequestCount": "4", "failedRequestCount": "1"},
}


@pytest.mark.parametrize(
    "places",
    [
        {"metadata": METADATA, "response": {"responsesFile": "files/out"}},
        {"metadata": METADATA, "response": {"output": {"responsesFile": "files/out"}}},
        {"metadata": {**METADATA, "output": {"responsesFile": "files/out"}}},
        {**METADATA, "output": {"responsesFile": "files/out"}},
    ],
)
@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
def test_an_operation_is_read_wherever_its_parts_stand(adapter: Make, places: dict[str, Any], prefix: str) -> None:
    document = {"name": "batches/abc", "done": True, **places}
    about = document.get("metadata", document)
    batch = adapter("gemini").read(document | ({"metadata": {**about, "state": f"{prefix}SUCCEEDED"}} if "metadata" in document else {}))
    assert batch == ProviderBatch(
        id="batches/abc",
        tag=TAG,
        state=BatchState.ENDED,
        word=batch.word,
        created=1753012800.123456,
        total=5,
        succeeded=4,
        failed=1,
        files=("files/in", "files/out"),
        reply_files=("files/out",),
        has_replies=True,
    )


def test_what_has_expired_has_nothing(adapter: Make) -> None:
    batch = adapter("gemini").read({"name": "batches/abc", "metadata": {**METADATA, "state": "BATCH_STATE_EXPIRED"}})
    assert (batch.state, batch.has_replies) == (BatchState.EXPIRED, False)


def test_what_has_failed_says_why(adapter: Make) -> None:
    error = {"code": 8, "message": "Too many enqueued tokens"}
    batch = adapter("gemini").read(
        {"name": "batches/abc", "metadata": {**METADATA, "state": "BATCH_STATE_FAILED"}, "done": True, "error": error}
    )
    assert (batch.state, batch.full, batch.message) == (BatchState.FAILED, True, "Too many enqueued tokens (8)")


@pytest.mark.parametrize(("error", "state"), [(None, BatchState.ENDED), ({"code": 13, "message": "x"}, BatchState.FAILED)])
def test_an_operation_without_a_state_is_judged_by_its_end(adapter: Make, error: object, state: BatchState) -> None:
    assert adapter("gemini").read({"name": "batches/abc", "done": True, "error": error}).state is state
    assert adapter("gemini").read({"name": "batches/abc", "error": None}).state is BatchState.UNKNOWN


def test_a_line_of_an_embedding_has_one_text(adapter: Make) -> None:
    one = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "Hi"}]}, "taskType": "RETRIEVAL_DOCUMENT"}
    gemini = adapter("gemini", "embeddings")
    assert gemini.line(BatchRequest("a-1", {"requests": [one]})) == {"key": "a-1", "request": one}
    with pytest.raises(ArgumentError, match="one text, not 2"):
        gemini.line(BatchRequest("a-1", {"requests": [one, one]}))


def test_the_reply_to_an_embedding_is_that_of_online(adapter: Make) -> None:
    gemini = adapter("gemini", "embeddings")
    read = gemini.read_reply
    assert read({"key": "a-1", "response": {"embedding": {"values": [1.0]}}}) == BatchReply("a-1", {"embeddings": [{"values": [1.0]}]})
    told = read({"key": "a-1", "response": {"embedding": {"values": [1.0]}, "tokenCount": "3"}})
    assert told.body["usageMetadata"] == {"promptTokenCount": 3}


@pytest.mark.parametrize(
    ("line", "reason", "again"),
    [
        ({"error": {"code": 3, "message": "Invalid value"}}, "refused", False),
        ({"error": {"code": 400, "message": "The input exceeds the maximum number of tokens"}}, "too_long", False),
        ({"error": {"code": 13, "message": "Internal"}}, "server_error", True),
        ({"error": {"code": 429, "message": "RESOURCE_EXHAUSTED"}}, "server_error", True),
        ({"response": {"error": {"code": 14, "message": "Unavailable"}}}, "server_error", True),
        ({"response": None}, "bad_response", True),
        ({}, "bad_response", True),
    ],
)
def test_a_line_that_failed_has_a_reason(adapter: Make, line: dict[str, Any], reason: str, again: bool) -> None:
    reply = adapter("gemini").read_reply({"key": "a-1", **line})
    assert (reply.reason, reply.again) == (reason, again)


def test_addresses_of_files_stand_before_the_version(adapter: Make) -> None:
    batch = adapter("gemini").read({"name": "batches/abc", "metadata": METADATA, "response": {"responsesFile": "files/out"}})
    for base in (None, "https://generativelanguage.googleapis.com/v1beta/openai"):
        gemini = adapter("gemini", base_url=base)
        host = "https://generativelanguage.googleapis.com"
        assert gemini.addresses_of_replies(batch) == [f"{host}/download/v1beta/files/out:download?alt=media"]
        assert gemini.address_of("batches/abc", "/cancel") == f"{host}/v1beta/batches/abc:cancel"
        assert gemini.deletable(batch) == [f"{host}/v1beta/{name}" for name in ("files/in", "files/out", "batches/abc")]
