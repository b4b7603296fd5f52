"""Jobs as Mistral describes them (the models of its client)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.batches.interface import BatchState, ProviderBatch

TAG = "0123456789abcdefghij"
JOB = {
    "id": "4a8d33d1-0000-4b60-9f1f-000000000001",
    "object": "batch",
    "input_files": ["in-1"],
    "metadata": {"asyncrun": TAG},
    "endpoint": "/v1/chat/completions",
    "model": "mistral-small-latest",
    "output_file": "out-1",
    "error_file": None,
    "errors": [],
    "outputs": None,
    "status": "SUCCESS",
    "created_at": 1732183400,
    "total_requests": 3,
    "completed_requests": 3,
    "succeeded_requests": 3,
    "failed_requests": 0,
}


def test_a_job_that_has_ended_is_read_whole(adapter: Callable[..., Any]) -> None:
    assert adapter("mistral").read(JOB) == ProviderBatch(
        id=JOB["id"],
        tag=TAG,
        state=BatchState.ENDED,
        word="SUCCESS",
        created=1732183400.0,
        total=3,
        succeeded=3,
        failed=0,
        files=("in-1", "out-1"),
        reply_files=("out-1",),
        has_replies=True,
    )


@pytest.mark.parametrize(
    ("status", "state", "replies"),
    [
        ("QUEUED", BatchState.WAITING, False),
        ("RUNNING", BatchState.WAITING, False),
        ("TIMEOUT_EXCEEDED", BatchState.EXPIRED, True),
        ("CANCELLATION_REQUESTED", BatchState.CANCELLING, False),
        ("CANCELLED", BatchState.CANCELLED, True),
        ("FAILED", BatchState.FAILED, True),
        ("PONDERING", BatchState.UNKNOWN, False),
    ],
)
def test_replies_are_there_when_it_is_over(adapter: Callable[..., Any], status: str, state: BatchState, replies: bool) -> None:
    batch = adapter("mistral").read({**JOB, "status": status})
    assert (batch.state, batch.has_replies) == (state, replies)


def test_a_job_without_files_has_none(adapter: Callable[..., Any]) -> None:
    batch = adapter("mistral").read({**JOB, "input_files": None, "output_file": None, "errors": [{"message": "No such model", "count": 3}]})
    assert (batch.files, batch.has_replies, batch.message) == ((), False, "No such model (3 times)")
