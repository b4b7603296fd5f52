"""An answer that stands the proof may still be odd: it is kept, and said so once."""

import numpy as np
import pytest

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

TEXTS = [f"text {number} of some length, so that its tokens can be told from its characters" for number in range(10)]


def changed(change):
    def whole(document):
        change(document)
        return document

    return Fault(change=whole, times=None)


def zeros(document):
    document["data"][0]["embedding"] = [0.0] * 8


def half(document):
    for row in document["data"]:
        row["embedding"] = [0.25] * 4


def characters(document):
    document["usage"] = {"prompt_tokens": sum(map(len, TEXTS[: len(document["data"])]))}


ODD = {
    "zeros": (zeros, {}, "a vector is all zeros"),
    "not of unit length": (half, {"dimensions": 4}, "vectors of 4 dimensions come without unit length"),
    "another model": (
        lambda document: document.update(model="all-MiniLM-L6-v2"),
        {},
        "asked for the model m9, it answers as all-MiniLM-L6-v2",
    ),
    "characters": (characters, {}, "counts characters, not tokens"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ODD)
async def test_13_what_is_odd_is_kept_and_said_once(embed, case):
    change, options, words = ODD[case]
    told = []
    async with FakeServer(faults=[changed(change)]) as server:
        numbers = {"extra_body": {"encoding_format": "float"}}
        answer = await embed(server, texts=[*TEXTS[:2], *TEXTS[:8]], model="m9", warn=told.append, **numbers, **options)
    assert len(answer.positions) == 10
    assert len(told) == 1
    assert told[0].startswith("127.0.0.1:")
    assert words in told[0]


@pytest.mark.asyncio
async def test_characters_are_no_tokens_and_cost_nothing_that_is_known(embed):
    async with FakeServer(faults=[changed(characters)]) as server:
        answer = await embed(server, texts=TEXTS[:2], warn=lambda words: None, price_per_million_tokens=1.0)
    assert (answer.usage.tokens, answer.usage.cost) == (0, None)


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["x", "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 40], ids=["single letters", "Chinese"])
async def test_texts_of_one_token_a_character_are_no_reason_to_doubt_the_count(embed, text):
    def honest(document):
        document["usage"] = {"prompt_tokens": len(document["data"]) * len(text)}

    told = []
    async with FakeServer(faults=[changed(honest)]) as server:
        answer = await embed(server, texts=[text] * 80, warn=told.append)
    assert told == []
    assert answer.usage.tokens == 80 * len(text)


@pytest.mark.asyncio
async def test_what_was_once_found_to_count_characters_is_believed_for_no_short_text_either(embedder_of):
    async with FakeServer(faults=[changed(characters)]) as server, embedder_of(server, warn=lambda words: None) as embedder:
        assert (await embedder.aembed(TEXTS[:1])).usage.tokens == 0
        server.faults.clear()
        assert (await embedder.aembed(["short"])).usage.tokens == 0


@pytest.mark.asyncio
async def test_a_server_that_cuts_without_a_word_is_found_out_by_its_usage(embed):
    told = []
    async with FakeServer(faults=[changed(lambda document: document.update(usage={"prompt_tokens": 256}))]) as server:
        await embed(server, texts=["word " * 5000], warn=told.append)
        await embed(server, texts=["word " * 5000], warn=told.append, on_too_long="truncate")
    assert ["seems to cut them" in words for words in told] == [True]


@pytest.mark.asyncio
@pytest.mark.parametrize("model", ["m", "M:latest", "models/m", "m-v2", None])
async def test_a_model_by_another_form_of_its_name_is_the_same(embed, model):
    told = []
    async with FakeServer(faults=[changed(lambda document: document.update(model=model))]) as server:
        answer = await embed(server, texts=TEXTS[:2], warn=told.append)
    assert (told, len(answer.positions)) == ([], 2)
    assert np.isfinite(answer.vectors).all()


@pytest.mark.asyncio
async def test_what_cohere_warns_of_is_passed_on():
    from asyncrun.embedders import CohereEmbedding

    told = []
    warn = Fault(change=lambda document: document | {"meta": {"warnings": ["model 'm' is deprecated\x1b[2J"]}}, times=None)
    async with (
        FakeServer(faults=[warn]) as server,
        CohereEmbedding("m", base_url=server.base_url.removesuffix("/v1"), environ={}, warn=told.append) as embedder,
    ):
        await embedder.aembed(["a"])
        await embedder.aembed(["b"])
    assert len(told) == 1
    assert "model 'm' is deprecated" in told[0]
    assert "\x1b" not in told[0]
