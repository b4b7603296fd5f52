"""Whatever JSON a provider sends, it is a batch or none, a reply, a failure or none; nothing of it is raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncrun.batches.interface import BatchReply, ProviderBatch
from asyncrun.registry import BUILT_IN
from tests.depth import times

NAMES = re.findall(
    r"\w+",
    """
    id name custom_id key status state processing_status metadata asyncrun displayName errors error data message code
    line count type response status_code body result request_counts total completed input_file_id output_file_id
    input_files output_file created_at createTime batchStats requestCount inputConfig fileName responsesFile output done
    candidates content parts text thought finishReason usageMetadata promptTokenCount promptFeedback blockReason
    embedding succeeded
    """,
)
WORDS = [
    "completed",
    "ended",
    "SUCCESS",
    "BATCH_STATE_SUCCEEDED",
    "0123456789abcdefghij-1",
    "batch_expired",
    "succeeded",
    "errored",
    "",
    "\x1b",
]
scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), documents, max_size=8)


@pytest.fixture(params=sorted(BUILT_IN["batches"]))
def endpoint(request: pytest.FixtureRequest, adapter: Callable[..., Any]) -> Any:
    return adapter(request.param, "embeddings" if request.param == "voyage" else "chat")


@settings(
    max_examples=times(quick=8, deep=400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=documents | objects, line=objects)
def test_no_document_is_too_odd(endpoint: Any, document: Any, line: dict[str, Any]) -> None:
    assert isinstance(endpoint.read(document), ProviderBatch | None)
    reply = endpoint.read_reply(line)
    assert isinstance(reply, BatchReply | None)
    if reply is not None:
        assert (reply.reason is None) == (reply.body is not None)
        assert isinstance(reply.custom_id, str)
