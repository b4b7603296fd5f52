"""The contract suite of embedders: subclass `EmbedderContract`, give it the fixture `embedder`, and run it with pytest-asyncio."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from asyncrun.embedders.interface import Embedder
from asyncrun.records import InputType

TEXTS = ["A cat sleeps.", "It rains in Ghent.", "caf\u00e9 \u6f22\u5b57 \N{GRINNING FACE}", "a\0b", "A cat sleeps."]


class EmbedderContract:
    """What every embedder promises. The fixture `embedder` returns one that works, with `on_empty` left at `fail`.

    >>> from asyncrun.embedders import LocalEmbedding
    >>> class TestMine(EmbedderContract):
    ...     @pytest.fixture
    ...     def embedder(self):
    ...         return LocalEmbedding()
    """

    @pytest.mark.asyncio
    async def test_every_text_has_a_finite_vector_of_one_size_in_its_place(self, embedder: Embedder) -> None:
        answer = await embedder.aembed(TEXTS)
        assert answer.positions == tuple(range(len(TEXTS)))
        assert answer.vectors.dtype == np.float32
        assert answer.vectors.shape == (len(TEXTS), embedder.dimensions)
        assert np.isfinite(answer.vectors).all()

    @pytest.mark.asyncio
    async def test_a_text_has_the_same_vector_alone_and_in_company(self, embedder: Embedder) -> None:
        together = (await embedder.aembed(TEXTS)).vectors
        for place, text in enumerate(TEXTS):
            alone = (await embedder.aembed([text])).vectors[0]
            assert np.dot(alone, together[place]) / (np.linalg.norm(alone) * np.linalg.norm(together[place])) > 0.999

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        ("text", "reason"), [("", "empty"), (" \n\t", "empty"), ("half a pair: \ud83d", "bad_text")], ids=["empty", "blank", "half a pair"]
    )
    async def test_a_text_that_cannot_be_sent_fails_alone(self, embedder: Embedder, text: str, reason: str) -> None:
        answer = await embedder.aembed([TEXTS[0], text, TEXTS[1]])
        assert answer.positions == (0, 2)
        assert [(failure.position, failure.reason) for failure in answer.failures] == [(1, reason)]

    @pytest.mark.asyncio
    async def test_nothing_is_asked_for_no_texts(self, embedder: Embedder) -> None:
        answer = await embedder.aembed([])
        assert (answer.positions, answer.failures, answer.usage.requests) == ((), (), 0)

    @pytest.mark.asyncio
    async def test_queries_have_vectors_that_can_be_compared_with_those_of_documents(self, embedder: Embedder) -> None:
        document = await embedder.aembed(TEXTS[:1], InputType.DOCUMENT)
        query = await embedder.aembed(TEXTS[:1], InputType.QUERY)
        assert query.vectors.shape == document.vectors.shape

    @pytest.mark.asyncio
    async def test_many_calls_at_once_have_each_its_own_answer(self, embedder: Embedder) -> None:
        expected = (await embedder.aembed(TEXTS)).vectors
        answers = await asyncio.gather(*(embedder.aembed([text]) for text in TEXTS * 4))
        for place, answer in enumerate(answers):
            assert np.allclose(answer.vectors[0], expected[place % len(TEXTS)], atol=0.05)

    @pytest.mark.asyncio
    async def test_a_call_that_is_cancelled_ends_and_the_next_one_works(self, embedder: Embedder) -> None:
        await embedder.aembed(TEXTS[:1])
        call = asyncio.ensure_future(embedder.aembed(TEXTS))
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await embedder.aembed(TEXTS[:2])).positions == (0, 1)

    @pytest.mark.asyncio
    async def test_it_is_closed_twice_and_used_again(self, embedder: Embedder) -> None:
        await embedder.aembed(TEXTS[:1])
        await embedder.renew_connections()
        await embedder.aclose()
        await embedder.aclose()
        assert (await embedder.aembed(TEXTS[:1])).positions == (0,)

    def test_the_space_is_the_same_each_time_and_names_the_provider(self, embedder: Embedder) -> None:
        for input_type in InputType:
            assert embedder.space(input_type) == embedder.space(input_type)
            assert embedder.space(input_type).provider

    def test_what_can_be_used_is_not_refused_and_has_room_for_a_call(self, embedder: Embedder) -> None:
        embedder.check()
        assert embedder.workers >= 1
        assert embedder.batch.max_items >= 1
