"""The model that replies name may be called anything, but by one name for a whole run: vectors of two models do not mix."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from asyncrun.embedders.several import SeveralEmbedders
from asyncrun.errors import SpaceMismatchError
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

TEXTS = [f"text {number}" for number in range(10)]


def named(*names, after=0):
    """Have the replies after some name the model by turns."""
    turns = iter(names * 1000)
    return Fault(change=lambda document: document | {"model": next(turns)}, after=after, times=None)


async def embed_one_by_one(embedder, count):
    for number in range(count):
        (await embedder.aembed([f"text {number}"])).or_raise()


@pytest.mark.asyncio
@pytest.mark.parametrize("before", ["m", "m-2025-01", "quite another"])
async def test_a_reply_that_names_another_model_than_those_before_is_not_taken(embedder_of, before):
    async with (
        FakeServer(faults=[named("m-2025-06", after=3), named(before)]) as server,
        embedder_of(server, warn=lambda _: None) as embedder,
    ):
        await embed_one_by_one(embedder, 3)
        answer = await embedder.aembed(["another"])
        with pytest.raises(SpaceMismatchError, match=f"answered as {before} .* answers as m-2025-06") as caught:
            answer.or_raise()
    assert caught.value.exit_code == 1
    assert "`space`" in caught.value.hint
    assert answer.positions == ()
    assert (answer.usage.requests, answer.usage.tokens) == (1, 2)


@pytest.mark.asyncio
async def test_names_that_alternate_are_two_models(embedder_of):
    async with FakeServer(faults=[named("m-a", "m-b")]) as server, embedder_of(server) as embedder:
        with pytest.raises(SpaceMismatchError):
            await embed_one_by_one(embedder, 10)
    assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_what_the_same_call_was_answered_before_is_kept(embedder_of):
    async with FakeServer(faults=[named("other", after=1)]) as server, embedder_of(server) as embedder:
        answer = await embedder.aembed(TEXTS)
    assert isinstance(answer.error, SpaceMismatchError)
    assert answer.positions == (0, 1)


@pytest.mark.asyncio
async def test_of_batches_in_flight_those_of_the_first_name_are_answered(embedder_of):
    async with (
        FakeServer(
            latency=0.02, faults=[Fault(change=lambda document: document | {"model": "other"}, when=lambda r: "odd" in r.texts)]
        ) as server,
        embedder_of(server) as embedder,
    ):
        await embedder.aembed(["first"])
        answers = await asyncio.gather(*(embedder.aembed([text]) for text in ("a", "odd", "b", "c")))
    assert [isinstance(answer.error, SpaceMismatchError) for answer in answers] == [False, True, False, False]


@pytest.mark.asyncio
async def test_a_reply_without_a_name_says_nothing(embedder_of):
    async with FakeServer(faults=[named("m", None, "")]) as server, embedder_of(server) as embedder:
        await embed_one_by_one(embedder, 9)
    assert len(server.requests) == 9


@pytest.mark.asyncio
async def test_several_places_may_each_have_a_name_of_their_own_and_keep_it(embedder_of):
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FakeServer(latency=0.01, faults=[named(name)])) for name in ("m", "deployment")]
        several = SeveralEmbedders([embedder_of(server) for server in servers], warn=lambda _: None)
        async with several:
            await asyncio.gather(*(several.aembed([f"text {number}"]) for number in range(20)))
            assert all(len(server.requests) > 2 for server in servers)
            servers[1].faults[:] = [named("m")]
            ended = await asyncio.gather(*(several.aembed([f"text {number}"]) for number in range(20, 60)))
    said = {str(answer.error).partition(" ")[2] for answer in ended if answer.error is not None}
    assert said == {"answered as deployment before and answers as m: vectors of two models would be mixed"}


@pytest.mark.asyncio
async def test_the_names_are_shown_without_secrets_and_on_one_line(embedder_of):
    key = "a-key-that-nobody-may-see"
    async with FakeServer(faults=[named("m", f"other\n{key}")]) as server, embedder_of(server, api_key=key) as embedder:
        await embedder.aembed(["a"])
        with pytest.raises(SpaceMismatchError) as caught:
            (await embedder.aembed(["b"])).or_raise()
    assert "answers as other\\x0a***" in caught.value.message
