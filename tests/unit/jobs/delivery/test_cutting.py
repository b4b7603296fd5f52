"""A batch is as large as its provider takes, and no larger: in requests, in bytes, and in what a budget has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncrun.batches.interface import BatchRequest, request_id
from asyncrun.jobs.delivery.cutting import LINE_BYTES, RequestStream, cut_batch
from asyncrun.jobs.delivery.work import WorkRequest
from asyncrun.ledger.job_records import Amount
from asyncrun.records import text_key
from asyncrun.registry import load

TAG = "a0123456789bcdefghij"
BODY = {"model": "m", "input": ["text"]}
LINE = len(orjson.dumps(BODY)) + LINE_BYTES


def requests(count: int) -> Iterator[WorkRequest]:
    return (WorkRequest(text_key(str(number)), BODY, Amount(10, 0.01)) for number in range(count))


def sizes(folder: Path, count: int, *, most: int = 100, size: int = 10**6, left: Amount | None = None) -> list[int]:
    """Return how many requests each batch has, until all are in one."""
    stream, found = RequestStream(requests(count)), list[int]()
    while True:
        with closing(cut_batch(stream, folder, most, size, left)) as batch:
            if not len(batch):
                return found
            found.append(len(batch))
            assert [each.custom_id for each in batch.requests(TAG)] == [request_id(TAG, number) for number in range(len(batch))]


@pytest.mark.parametrize(
    ("limits", "batches"),
    [
        ({}, [7]),
        ({"most": 3}, [3, 3, 1]),
        ({"size": 3 * LINE}, [3, 3, 1]),
        ({"size": 3 * LINE - 1}, [2, 2, 2, 1]),
        ({"size": 1}, [1] * 7),
        ({"left": Amount(25, 1.0)}, [2, 2, 2, 1]),
        ({"left": Amount(1000, 0.035)}, [3, 3, 1]),
    ],
)
def test_a_batch_is_full_when_the_next_request_would_be_too_much(tmp_path: Path, limits: dict[str, Any], batches: list[int]) -> None:
    assert sizes(tmp_path, 7, **limits) == batches


@pytest.mark.parametrize("provider", ["openai", "azure", "mistral", "voyage"])
def test_a_line_has_room_beside_its_body(provider: str) -> None:
    """Of Gemini half the size is used, as its own form differs more; what Anthropic puts around a body is shorter than OpenAI's."""
    at = {"azure": "https://me.openai.azure.com"}.get(provider)
    endpoint = load("batches", provider)(model="m", purpose="embeddings", api_key="a-key", base_url=at, environ={})
    line = endpoint.line(BatchRequest(request_id(TAG, 999_999), BODY))
    assert len(orjson.dumps(line)) + 1 <= LINE
