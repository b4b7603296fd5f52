"""Several places that serve one model: a batch goes where it may go first, what fails is left out, and no place makes other vectors."""

import asyncio
import random
from contextlib import AsyncExitStack

import numpy as np
import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import CircuitBreaker, RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.embedders.same_model import KNOWN_TEXT
from asyncrun.embedders.several import SeveralEmbedders
from asyncrun.errors import AuthError, OutageError, SpaceMismatchError
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

HASTY = RetryPolicy(attempts=2, base=0.001, max_backoff=0.01)


class Kept:
    """A reference that is kept, as in a ledger."""

    def __init__(self, vector=None, *, vectors=False):
        self.vector = vector
        self.vectors = vectors

    def known(self):
        return self.vector, self.vectors or self.vector is not None

    async def keep(self, vector):
        self.vector = vector


def other_model(data):
    """Answer as another model of the same size would."""
    return {**data, "data": [{**row, "embedding": vector_of(f"other {row['index']}", 8).tolist()} for row in data["data"]]}


def place(server, **options):
    options = {"retry": HASTY, "circuit": CircuitBreaker(3), **options}
    return OpenAIEmbedding(model="m", base_url=server.base_url, rng=random.Random(1), **options)


def several(servers, *, reference=None, said=None, options=()):
    options = options or [{} for _ in servers]
    warn = (said if said is not None else []).append
    return SeveralEmbedders([place(server, **own) for server, own in zip(servers, options, strict=True)], reference=reference, warn=warn)


async def started(stack, *fakes):
    return [await stack.enter_async_context(fake) for fake in fakes]


def right(answer, texts):
    return answer.positions == tuple(range(len(texts))) and all(
        np.allclose(row, vector_of(text, 8), atol=1e-6) for row, text in zip(answer.vectors, texts, strict=True)
    )


async def embed_all(embedder, count=20):
    batches = [[f"text {batch} {number}" for number in range(3)] for batch in range(count)]
    answers = await asyncio.gather(*map(embedder.aembed, batches))
    assert all(map(right, answers, batches))
    return answers


def batches_at(server):
    return [request.texts for request in server.requests if request.texts != [KNOWN_TEXT]]


@pytest.mark.asyncio
async def test_batches_go_to_all_places_and_each_is_asked_for_a_known_text_first():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(latency=0.02), FakeServer(latency=0.02), FakeServer(latency=0.02))
        async with several(servers) as embedder:
            await embed_all(embedder, 40)
    assert all(server.sent_texts[0] == KNOWN_TEXT and server.sent_texts.count(KNOWN_TEXT) == 1 for server in servers)
    assert all(len(batches_at(server)) >= 5 for server in servers)
    assert sum(len(batches_at(server)) for server in servers) == 40


@pytest.mark.asyncio
async def test_a_place_whose_limit_is_reached_waits_while_the_other_goes_on():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer())
        async with several(servers, options=[{"limits": Limits(requests_per_minute=1)}, {}]) as embedder:
            await asyncio.wait_for(embed_all(embedder, 30), 30)
    assert len(batches_at(servers[1])) >= 25


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["bad_key", "quota", "unknown_model", "unavailable", "reset", "redirect", "wait_a_day"])
async def test_a_place_that_fails_from_the_start_is_left_out_with_a_warning(name):
    said = []
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(faults=[fault(name, times=None)]), FakeServer())
        async with several(servers, said=said) as embedder:
            await embed_all(embedder)
    assert len(said) == 1
    assert said[0].startswith(f"127.0.0.1:{servers[0].base_url.split(':')[2].removesuffix('/v1')} is left out: ")
    assert batches_at(servers[0]) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["bad_key", "quota", "unavailable", "reset"])
async def test_a_place_that_fails_on_the_way_hands_its_batches_to_the_other(name):
    said = []
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(faults=[fault(name, times=None, after=5)]), FakeServer(latency=0.01))
        async with several(servers, said=said) as embedder:
            await embed_all(embedder, 60)
    assert len(said) == 1


@pytest.mark.asyncio
async def test_a_place_where_nobody_listens_is_left_out(unused_port):
    said = []
    async with FakeServer() as server, several([FakeServer(port=unused_port), server], said=said) as embedder:
        await embed_all(embedder)
    assert "refused" in said[0]


@pytest.mark.asyncio
async def test_the_error_comes_when_no_place_is_left_and_names_all():
    async with AsyncExitStack() as stack:
        servers = await started(
            stack, FakeServer(faults=[fault("unavailable", times=None)]), FakeServer(faults=[fault("bad_key", times=None)])
        )
        async with several(servers) as embedder:
            with pytest.raises(AuthError) as caught:
                (await embedder.aembed(["a"])).or_raise()
    assert all(str(server.base_url.split(":")[2].removesuffix("/v1")) in str(caught.value) for server in servers)


@pytest.mark.asyncio
async def test_a_place_with_other_vectors_never_gets_a_batch():
    said = []
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer(faults=[Fault(change=other_model, times=None)]))
        async with several(servers, said=said, options=[{"extra_body": {"encoding_format": "float"}}] * 2) as embedder:
            await embed_all(embedder)
    assert batches_at(servers[1]) == []
    assert "another vector of a known text" in said[0]


@pytest.mark.asyncio
async def test_a_place_with_vectors_of_another_size_never_gets_a_batch():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer(dimensions=16))
        async with several(servers) as embedder:
            await embed_all(embedder)
    assert batches_at(servers[1]) == []


@pytest.mark.asyncio
async def test_what_the_first_run_kept_decides_also_when_only_the_wrong_place_is_up():
    kept, options = Kept(), [{"extra_body": {"encoding_format": "float"}}] * 2
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer(faults=[Fault(change=other_model, times=None)]))
        async with several(servers, reference=kept, options=options) as embedder:
            await embed_all(embedder)
        servers[0].faults.append(fault("unavailable", times=None))
        async with several(servers, reference=kept, options=options) as embedder:
            with pytest.raises(SpaceMismatchError):
                (await embedder.aembed(["a"])).or_raise()
    assert batches_at(servers[1]) == []


@pytest.mark.asyncio
async def test_where_vectors_are_and_no_reference_the_first_place_must_answer_once():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(faults=[fault("unavailable", times=None)]), FakeServer())
        async with several(servers, reference=Kept(vectors=True)) as embedder:
            with pytest.raises(OutageError, match="nothing to compare"):
                (await embedder.aembed(["a"])).or_raise()
        servers[0].faults.clear()
        async with several(servers, reference=Kept(vectors=True)) as embedder:
            await embed_all(embedder, 4)


@pytest.mark.asyncio
async def test_a_full_disk_is_told_as_such():
    class Full(Kept):
        async def keep(self, vector):
            raise OSError("no space left")

    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer())
        async with several(servers, reference=Full()) as embedder:
            with pytest.raises(OSError, match="no space left"):
                (await embedder.aembed(["a"])).or_raise()


@pytest.mark.asyncio
async def test_one_request_at_a_time_at_each_place_is_kept_to():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(latency=0.01), FakeServer(latency=0.01))
        async with several(servers, options=[{"limits": Limits(concurrency=1)}] * 2) as embedder:
            await embed_all(embedder, 20)
    assert [server.most_in_flight for server in servers] == [1, 1]


@pytest.mark.asyncio
async def test_the_policies_for_texts_hold_as_with_one_place():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(max_input_tokens=20), FakeServer(max_input_tokens=20))
        embedder = SeveralEmbedders([place(server, on_too_long="split", document_prefix="passage: ") for server in servers])
        async with embedder:
            answer = await embedder.aembed(["short", " ", "long words " * 20])
    assert answer.positions == (0, 2)
    assert answer.failures[0].reason == "empty"
    assert np.allclose(answer.vectors[0], vector_of("passage: short", 8), atol=1e-6)


@pytest.mark.asyncio
async def test_what_the_comparison_has_used_is_counted():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(), FakeServer())
        async with several(servers) as embedder:
            answers = [await embedder.aembed(["a"]), *await embed_all(embedder, 10)]
    assert sum(answer.usage.requests for answer in answers) == sum(len(server.requests) for server in servers)


@pytest.mark.asyncio
async def test_a_cancelled_batch_leaves_room_for_the_others():
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(latency=0.2), FakeServer(latency=0.2))
        async with several(servers, options=[{"limits": Limits(concurrency=1)}] * 2) as embedder:
            await embedder.aembed(["first"])
            tasks = [asyncio.create_task(embedder.aembed([f"text {number}"])) for number in range(6)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await asyncio.wait_for(embedder.aembed(["last"]), 60)
            assert all(one.endpoint.limiter.in_flight == 0 for one in embedder.embedders)


def test_it_can_be_used_from_code_that_is_not_asynchronous():
    with FakeServer().in_thread() as one, FakeServer().in_thread() as other:
        embedder = several([one, other])
        assert embedder.get_text_embedding("a") == pytest.approx(vector_of("a", 8).tolist(), abs=1e-6)
        assert len(embedder.get_text_embedding_batch(["a", "b"])) == 2


@pytest.mark.asyncio
async def test_a_place_that_is_slow_to_answer_joins_later():
    async with AsyncExitStack() as stack:
        slow = FakeServer(latency=lambda request: 2.0 if request.texts == [KNOWN_TEXT] else 0.0)
        servers = await started(stack, FakeServer(latency=0.05), slow)
        async with several(servers, options=[{"limits": Limits(concurrency=1)}, {}]) as embedder:
            await embed_all(embedder, 40)
    assert batches_at(servers[0]) != []
    assert batches_at(servers[1]) != []
    assert servers[0].requests[1].at < servers[1].requests[1].at


@pytest.mark.asyncio
async def test_what_an_endpoint_has_answered_before_it_fails_is_kept_and_the_rest_goes_to_another():
    texts = [f"text {number}" for number in range(6)]
    gone = error(401, "no such key", times=None, when=lambda request: texts[4] in request.texts and len(request.texts) <= 2)
    async with AsyncExitStack() as stack:
        servers = await started(stack, FakeServer(max_items=2, faults=[gone]), FakeServer(latency=0.05))
        async with several(servers) as embedder:
            answer = await embedder.aembed(texts)
    assert right(answer, texts)
    assert batches_at(servers[1]) == [texts[4:]]
    assert answer.usage.requests == sum(len(server.requests) for server in servers)
