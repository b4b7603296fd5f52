"""What was seen of servers that are not installed here (llama-server, xinference) or take long for it (LiteLLM): recorded replies."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.errors import EndpointError
from asyncrun.packing import BatchLimits
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right

TEXTS = [f"text {number}" for number in range(12)]


def embedder_of(server: FakeServer, warnings: list[str] | None = None, **options: Any) -> OpenAIEmbedding:
    hasty = RetryPolicy(base=0.001, max_backoff=0.01)
    warn = [].append if warnings is None else warnings.append
    return OpenAIEmbedding(model="m", base_url=server.base_url, rng=random.Random(1), retry=hasty, warn=warn, **options)


def changed(**words: Any) -> Fault:
    return Fault(change=lambda document: {**document, **words}, times=None)


@pytest.mark.asyncio
async def test_llama_server_says_500_of_a_long_text() -> None:
    words = "input is too large to process. increase the physical batch size (current batch size: 512)"
    fault = Fault(
        status=500,
        body=json.dumps({"error": {"code": 500, "message": words, "type": "server_error"}}).encode(),
        when=lambda request: "text 7" in request.texts,
        times=None,
    )
    async with FakeServer(faults=[fault]) as server, embedder_of(server) as embedder:
        answer = await embedder.aembed(TEXTS)
    assert [(failure.position, failure.reason) for failure in answer.failures] == [(7, "too_long")]
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_llama_server_echoes_a_wrong_model_and_nobody_can_tell() -> None:
    warnings: list[str] = []
    async with FakeServer() as server, embedder_of(server, warnings) as embedder:
        answer = await embedder.aembed(TEXTS)
    assert are_right(answer, TEXTS)
    assert warnings == []


@pytest.mark.asyncio
async def test_another_model_than_asked_for_is_told_once() -> None:
    warnings: list[str] = []
    async with FakeServer(faults=[changed(model="all-MiniLM-L6-v2")]) as server, embedder_of(server, warnings) as embedder:
        await embedder.aembed(TEXTS)
        await embedder.aembed(TEXTS)
    assert len(warnings) == 1
    assert "asked for the model m, it answers as all-MiniLM-L6-v2" in warnings[0]


@pytest.mark.asyncio
async def test_xinferences_error_is_a_bare_string() -> None:
    words = b'"[address=127.0.0.1:9997, pid=1] The model refuses this text"'
    fault = Fault(status=400, body=words, when=lambda request: "text 7" in request.texts, times=None)
    async with FakeServer(faults=[fault]) as server, embedder_of(server) as embedder:
        answer = await embedder.aembed(TEXTS)
    [failure] = answer.failures
    assert failure.position == 7
    assert "The model refuses this text" in failure.message
    assert are_right(answer, TEXTS)


@pytest.mark.asyncio
async def test_xinference_does_not_know_a_model_with_404_and_detail() -> None:
    fault = Fault(status=404, body=b'{"detail": "Model not found in the model list, uid: m"}', times=None)
    async with FakeServer(faults=[fault]) as server, embedder_of(server) as embedder:
        with pytest.raises(EndpointError, match="Model not found in the model list, uid: m"):
            (await embedder.aembed(TEXTS)).or_raise()
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_usage_in_characters_is_told_and_not_believed() -> None:
    warnings: list[str] = []

    def characters(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "usage": {"prompt_tokens": 600 * len(document["data"]), "total_tokens": 600 * len(document["data"])}}

    async with (
        FakeServer(faults=[Fault(change=characters, times=None)]) as server,
        embedder_of(server, warnings, price_per_million_tokens=1.0) as embedder,
    ):
        answer = await embedder.aembed([f"{number:03}" * 200 for number in range(4)])
    assert (answer.usage.tokens, answer.usage.cost) == (0, None)
    assert ["counts characters" in warning for warning in warnings] == [True]


@pytest.mark.asyncio
async def test_litellm_hides_a_422_and_every_text_gets_its_row() -> None:
    words = "litellm.BadRequestError: OpenAIException - Error code: 422. Received Model Group=m\nAvailable Model Group Fallbacks=None"
    hidden = Fault(
        status=400,
        body=json.dumps({"error": {"message": words, "type": None, "param": None, "code": "400"}}).encode(),
        when=lambda request: len(request.texts) > 2048,
        times=None,
    )
    texts = [str(number) for number in range(3000)]
    async with FakeServer(faults=[hidden], max_items=10_000) as server, embedder_of(server, batch=BatchLimits(max_items=4096)) as embedder:
        answer = await embedder.aembed(texts)
    assert len(answer.positions) == 3000
    assert are_right(answer, texts)
    assert server.batch_sizes == [2, 2998, 1499, 1499]


@pytest.mark.asyncio
async def test_litellm_refuses_dimensions_in_its_own_words() -> None:
    words = "litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI `text-embedding-3` and later models."
    async with FakeServer(faults=[error(400, words, code="400", times=None)]) as server, embedder_of(server, dimensions=128) as embedder:
        with pytest.raises(EndpointError, match="Setting dimensions is not supported"):
            (await embedder.aembed(TEXTS)).or_raise()
    assert len(server.requests) < 10
