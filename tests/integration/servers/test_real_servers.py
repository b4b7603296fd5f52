"""What every real server must give: the same job file runs on it from the shell, and its rows are what other clients get."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from asyncrun.embedders import LocalEmbedding
from asyncrun.llms import OpenAI
from tests.integration.servers.conftest import CHAT_ANSWER


def vectors(rows: list[dict[str, Any]]) -> Any:
    return np.array([row["embedding"] for row in rows])


def test_the_same_job_runs_on_each_and_costs_nothing_the_second_time(server: Any, run: Any, texts: list[str]) -> None:
    first = run(server)
    assert first.code == 0, first.err
    assert [(row["id"], row["text"]) for row in first.rows] == [(f"t{number}", text) for number, text in enumerate(texts)]
    assert vectors(first.rows).shape == (len(texts), 384)
    assert np.linalg.norm(vectors(first.rows), axis=1) == pytest.approx(1, abs=1e-3)
    assert first.summary["ok"] == len(texts)
    second = run(server)
    assert (second.code, second.summary["requests"], second.rows) == (0, 0, first.rows)


@pytest.mark.needs("openai")
@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}], ids=["as it is", "as numbers"])
def test_the_official_sdk_gets_the_same_vectors(server: Any, run: Any, texts: list[str], encoding: dict[str, Any]) -> None:
    import openai

    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        theirs = np.array([row.embedding for row in client.embeddings.create(model=server.model, input=texts, **encoding).data])
    ours = vectors(run(server, extra_body=encoding).rows)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.needs("litellm")
def test_litellm_streams_an_answer_and_counts_its_tokens(litellm: Any) -> None:
    llm = OpenAI("chat", provider="litellm", api_key=litellm.key, api_base=litellm.base_url)
    *words, last = llm.stream_complete("Why?")
    assert len(words) > 1
    assert "".join(word.delta or "" for word in words) == last.text == CHAT_ANSWER
    assert (last.finish_reason, last.additional_kwargs["completion_tokens"] > 0) == ("stop", True)


@pytest.mark.needs("infinity")
def test_our_local_model_agrees_with_the_same_model_in_infinity(infinity: Any, run: Any, texts: list[str]) -> None:
    async def local() -> Any:
        async with LocalEmbedding() as embedder:
            return np.array(await embedder.aget_text_embedding_batch(texts))

    cosines = (asyncio.run(local()) * vectors(run(infinity).rows)).sum(axis=1)
    assert cosines.min() >= 0.996
