"""Embedding classes of LlamaIndex behind our limits, retries and proof."""

from __future__ import annotations

import sys
import types

import pytest
from pydantic import Field

from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import AuthError, UsageError
from asyncrun.records import InputType
from tests.executors import FakeExecutor

pytestmark = pytest.mark.needs("llama-index")


class StatusError(Exception):
    def __init__(self, status_code, words):
        super().__init__(words)
        self.status_code = status_code


@pytest.fixture
def embedder_of(monkeypatch):
    """Make our embedder around a class of LlamaIndex that counts the letter a, and fails as it is told to."""
    from llama_index.core.base.embeddings.base import BaseEmbedding

    from asyncrun.embedders.llama_index import LlamaIndexEmbedding

    class Letters(BaseEmbedding):
        scale: float = 1.0
        errors: list = Field(default_factory=list)

        def _get_text_embedding(self, text):
            if "!" in text:
                raise StatusError(400, "the text is too long")
            if self.errors:
                raise self.errors.pop(0)
            return [self.scale, float(text.count("a"))]

        def _get_query_embedding(self, query):
            return [-self.scale, float(query.count("a"))]

        async def _aget_query_embedding(self, query):
            return self._get_query_embedding(query)

    module = types.ModuleType("letters")
    module.Letters = Letters
    monkeypatch.setitem(sys.modules, "letters", module)

    def make(path="letters.Letters", args=None, **options):
        options.setdefault("retry", RetryPolicy(base=0.001, max_backoff=0.01))
        return LlamaIndexEmbedding(options={"class": path, "args": args or {}}, **options)

    return make


@pytest.mark.asyncio
async def test_texts_and_questions_get_its_vectors_and_a_bad_text_fails_alone(embedder_of):
    async with embedder_of(args={"scale": 2.0}) as embedder:
        answer = await embedder.aembed(["a", "aa", "!", "b"])
        assert answer.vectors.tolist() == [[2, 1], [2, 2], [2, 0]]
        assert [(failure.position, failure.reason) for failure in answer.failures] == [(2, "too_long")]
        assert await embedder.aget_query_embedding("a") == [-2, 1]


@pytest.mark.asyncio
async def test_what_passes_is_tried_again_and_a_refused_key_ends_it(embedder_of):
    async with embedder_of(args={"errors": [StatusError(500, "oh"), ConnectionError("reset")]}) as embedder:
        answer = await embedder.aembed(["a"])
        assert (len(answer.positions), answer.usage.retries) == (1, 2)
    async with embedder_of(args={"errors": [StatusError(401, "bad key")]}) as embedder:
        with pytest.raises(AuthError, match="letters: bad key"):
            (await embedder.aembed(["a"])).or_raise()


def test_a_class_with_other_arguments_is_another_space(embedder_of):
    def space(**options):
        return embedder_of(**options).space(InputType.DOCUMENT)

    assert space() != space(args={"scale": 2.0})
    assert space(args={"scale": 2.0}) == space(args={"scale": 2.0}, api_key="k")


def test_what_cannot_be_made_is_told_before_anything_is_embedded(embedder_of):
    with pytest.raises(UsageError, match=r"there is no class 'letters\.Words'"):
        embedder_of("letters.Words")
    with pytest.raises(UsageError, match="is no embedding class"):
        embedder_of("json.JSONDecoder")
    with pytest.raises(UsageError, match="Letters cannot be made"):
        embedder_of(args={"scale": "big"}).check()
    with pytest.raises(UsageError, match="kept with the run's settings"):
        embedder_of(args={"api_key": "k"})


@pytest.mark.asyncio
async def test_on_a_worker_the_class_is_made_there_and_its_key_is_shown_to_nobody(embedder_of):
    executor = FakeExecutor()
    async with embedder_of(args={"scale": 2.0}) as here, embedder_of(args={"scale": 2.0}) as there:
        there.endpoint.executor = executor
        answers = [await embedder.aembed(["banana", "too long!"]) for embedder in (here, there)]
        await executor.aclose()
    assert executor.calls
    assert answers[1].vectors.tolist() == answers[0].vectors.tolist() == [[2.0, 3.0]]
    assert answers[1].failures == answers[0].failures
    assert "a-secret-key" not in repr(embedder_of(api_key="a-secret-key").endpoint.worker_part())
