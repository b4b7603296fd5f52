"""Batches as OpenAI, Azure and Voyage describe them; the documents are those of their references and of what users report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.batches.interface import BatchRequest, BatchState, ProviderBatch
from asyncrun.errors import ArgumentError, MissingKeyError

TAG = "0123456789abcdefghij"
Make = Callable[..., Any]

COMPLETED = {
    "id": "batch_abc123",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "errors": None,
    "input_file_id": "file-in",
    "completion_window": "24h",
    "status": "completed",
    "output_file_id": "file-out",
    "error_file_id": "file-err",
    "created_at": 1711471533,
    "completed_at": 1711493163,
    "request_counts": {"total": 100, "completed": 95, "failed": 5},
    "metadata": {"asyncrun": TAG, "team": "nights"},
}


def test_a_completed_batch_is_read_whole(adapter: Make) -> None:
    assert adapter("openai").read(COMPLETED) == ProviderBatch(
        id="batch_abc123",
        tag=TAG,
        state=BatchState.ENDED,
        word="completed",
        created=1711471533.0,
        total=100,
        succeeded=95,
        failed=5,
        files=("file-in", "file-out", "file-err"),
        reply_files=("file-out", "file-err"),
        has_replies=True,
    )


@pytest.mark.parametrize("files", [{"output_file_id": None}, {"output_file_id": ""}])
def test_completed_may_mean_that_nothing_has_succeeded(adapter: Make, files: dict[str, Any]) -> None:
    batch = adapter("openai").read({**COMPLETED, **files})
    assert batch.state is BatchState.ENDED
    assert batch.reply_files == ("file-err",)
    assert batch.has_replies


def test_a_clean_run_may_have_an_error_file_without_a_name(adapter: Make) -> None:
    batch = adapter("openai").read({**COMPLETED, "error_file_id": ""})
    assert batch.reply_files == ("file-out",)
    assert batch.files == ("file-in", "file-out")


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_was_done_before_the_end_can_be_fetched(adapter: Make, status: str) -> None:
    assert adapter("openai").read({**COMPLETED, "status": status}).has_replies
    assert not adapter("openai").read({**COMPLETED, "status": status, "output_file_id": None, "error_file_id": None}).has_replies


def test_before_the_end_there_are_no_replies_whatever_files_are_named(adapter: Make) -> None:
    assert not adapter("openai").read({**COMPLETED, "status": "finalizing"}).has_replies


@pytest.mark.parametrize(
    ("error", "full"),
    [
        ({"code": "token_limit_exceeded", "message": "Enqueued token limit reached for gpt-4o in organization org-1."}, True),
        ({"code": "invalid_json_line", "message": "This line is not parseable as valid JSON.", "line": 7}, False),
    ],
)
def test_a_batch_that_was_refused_later_says_why_and_whether_there_was_no_room(adapter: Make, error: dict[str, Any], full: bool) -> None:
    failed = {**COMPLETED, "status": "failed", "errors": {"object": "list", "data": [error]}, "output_file_id": None, "error_file_id": None}
    batch = adapter("openai").read(failed)
    assert (batch.state, batch.full) == (BatchState.FAILED, full)
    assert error["message"] in batch.message


def test_azure_writes_states_in_other_letters_dates_and_no_counts(adapter: Make) -> None:
    document = {
        **COMPLETED,
        "status": "Validating",
        "created_at": "2024-03-26T16:45:33.1Z",
        "request_counts": {"total": None, "completed": None, "failed": None},
    }
    batch = adapter("azure").read(document)
    assert (batch.state, batch.word, batch.created) == (BatchState.WAITING, "Validating", 1711471533.1)
    assert (batch.total, batch.succeeded, batch.failed) == (None, None, None)


@pytest.mark.parametrize("document", [{"id": "batch_1"}, {"id": "batch_1", "status": None, "metadata": None, "request_counts": None}])
def test_a_batch_of_which_nothing_is_told_is_waited_for(adapter: Make, document: dict[str, Any]) -> None:
    batch = adapter("openai").read(document)
    assert (batch.state, batch.tag, batch.files, batch.has_replies) == (BatchState.UNKNOWN, None, (), False)


@pytest.mark.parametrize("document", [None, [], "text", {}, {"id": 7}, {"id": ""}])
@pytest.mark.parametrize("provider", ["openai", "mistral", "anthropic"])
def test_what_has_no_id_is_no_batch(adapter: Make, provider: str, document: object) -> None:
    assert adapter(provider).read(document) is None


@pytest.mark.parametrize("metadata", [{}, {"asyncrun": "nightly"}, {"asyncrun": 7}, {"tag": TAG}])
def test_a_batch_of_others_has_no_tag(adapter: Make, metadata: dict[str, Any]) -> None:
    assert adapter("openai").read({**COMPLETED, "metadata": metadata}).tag is None


def test_a_key_that_a_provider_repeats_is_not_shown(adapter: Make) -> None:
    openai = adapter("openai", api_key="sk-0123456789abcdefSECRET")
    errors = {"data": [{"message": "Incorrect key sk-0123456789abcdefSECRET\x1b[2J"}]}
    message = openai.read({**COMPLETED, "status": "failed", "errors": errors}).message
    assert "SECRET" not in message
    assert "\x1b" not in message


def test_a_line_is_the_request_of_online(adapter: Make) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    chat, embeddings = adapter("openai"), adapter("openai", "embeddings")
    assert chat.line(BatchRequest("a-1", body)) == {"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    assert embeddings.line(BatchRequest("a-1", {"input": ["x"]}))["url"] == "/v1/embeddings"
    assert (chat.terms.inputs, embeddings.terms.inputs) == (None, 50_000)


@pytest.mark.parametrize(
    ("base_url", "version", "address", "line_url"),
    [
        ("https://me.openai.azure.com", None, "https://me.openai.azure.com/openai/v1/batches/b", "/v1/chat/completions"),
        ("https://me.openai.azure.com/openai/v1", None, "https://me.openai.azure.com/openai/v1/batches/b", "/v1/chat/completions"),
        (
            "https://me.openai.azure.com",
            "2025-04-01-preview",
            "https://me.openai.azure.com/openai/batches/b?api-version=2025-04-01-preview",
            "/chat/completions",
        ),
    ],
)
def test_azure_has_two_forms_of_addresses(adapter: Make, base_url: str, version: str | None, address: str, line_url: str) -> None:
    azure = adapter("azure", base_url=base_url, api_version=version)
    assert azure.address_of("b") == address
    assert azure.line_url == line_url


def test_a_cancellation_keeps_the_version_in_the_query_string(adapter: Make) -> None:
    azure = adapter("azure", api_version="2025-04-01-preview")
    assert azure.address_of("b", "/cancel").endswith("/openai/batches/b/cancel?api-version=2025-04-01-preview")


@pytest.mark.parametrize("base_url", ["https://gateway/v1", "https://gateway/v1/chat/completions", "https://gateway/v1/embeddings"])
def test_the_address_of_online_requests_is_enough(adapter: Make, base_url: str) -> None:
    assert adapter("openai", base_url=base_url).address_of("b") == "https://gateway/v1/batches/b"


def test_voyage_is_told_once_what_all_requests_say(adapter: Make) -> None:
    voyage = adapter("voyage", "embeddings")
    body = {"model": "voyage-4", "input_type": "document", "truncation": False, "input": ["one", "two"]}
    requests = [BatchRequest("a-1", body), BatchRequest("a-2", {**body, "input": ["three"]})]
    assert [voyage.line(request) for request in requests] == [
        {"custom_id": "a-1", "body": {"input": ["one", "two"]}},
        {"custom_id": "a-2", "body": {"input": ["three"]}},
    ]
    said = {"model": "voyage-4", "input_type": "document", "truncation": False}
    assert voyage.request_params(iter(requests)) == {"request_params": said}
    assert (voyage.terms.price, voyage.terms.window, voyage.terms.inputs_per_request) == (0.67, 43_200.0, 1000)


def test_a_key_is_asked_for_before_anything_is_sent(adapter: Make) -> None:
    with pytest.raises(MissingKeyError):
        adapter("openai", api_key=None)
    with pytest.raises(ArgumentError):
        adapter("azure", base_url=None)
