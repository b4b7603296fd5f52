"""The contract suite of batch endpoints: subclass `BatchEndpointContract`, give it its fixtures, and run it with pytest-asyncio.

>>> from asyncrun.batches.openai import OpenAIBatches
>>> from asyncrun.testing import BatchServers, FakeServer
>>> class TestMine(BatchEndpointContract):
...     @pytest.fixture
...     def server(self):
...         with FakeServer(batches=BatchServers()).in_thread() as server:
...             yield server
...     @pytest.fixture
...     def endpoint(self, server):
...         return OpenAIBatches(model="m", purpose="embeddings", base_url=server.base_url)
...     @pytest.fixture
...     def bodies(self):
...         return [{"model": "m", "input": [text]} for text in ("one", "two", "three")]
...     @pytest.fixture
...     def pass_time(self, server):
...         return server.batches.advance
"""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from asyncrun.batches.interface import BatchEndpoint, BatchReply, BatchRequest, BatchState, ProviderBatch, request_id
from asyncrun.errors import RepliesGoneError

TAG, ANOTHER = "a0123456789bcdefghij", "z0123456789bcdefghij"
WHILE_IT_WAITS = (BatchState.WAITING, BatchState.UNKNOWN)
PassTime = Callable[[float], object]


async def submitted(endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], tag: str = TAG) -> ProviderBatch:
    """Upload and submit requests with these bodies; return the batch."""
    requests = [BatchRequest(request_id(tag, number), dict(body)) for number, body in enumerate(bodies)]
    file = await endpoint.upload(iter(requests), tag)
    batch = await endpoint.create(iter(requests), file, tag)
    assert isinstance(batch, ProviderBatch)
    return batch


async def replies_of(endpoint: BatchEndpoint, batch: ProviderBatch) -> dict[str, BatchReply]:
    """Return the replies of a batch by ids, each of which there is once."""
    replies = [reply async for reply in endpoint.replies(batch)]
    found = {reply.custom_id: reply for reply in replies}
    assert len(found) == len(replies)
    return found


class BatchEndpointContract:
    """What every adapter of a batch endpoint promises.

    The fixture `endpoint` returns one that is connected to a server where nothing was submitted yet, `bodies` JSON of requests as they are
    online, three of them or more, all of which succeed, `pass_time` lets seconds pass at the server, and `now` is the moment at which the
    test begins there. `window` is more than a batch takes. The module's own example has all of them.

    >>> class TestMine(BatchEndpointContract):
    ...     window = 86_400.0
    """

    window = 3600.0

    @pytest.fixture
    def endpoint(self) -> BatchEndpoint:
        """Return the endpoint."""
        raise NotImplementedError

    @pytest.fixture
    def bodies(self) -> Sequence[dict[str, object]]:
        """Return the JSON of requests."""
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self) -> PassTime:
        """Return what lets time pass."""
        raise NotImplementedError

    @pytest.fixture
    def now(self) -> float:
        """Return the server's time, in seconds since 1970: ours, unless it has its own."""
        return time.time()

    def test_the_terms_can_be_kept(self, endpoint: BatchEndpoint) -> None:
        terms = endpoint.terms
        assert terms.requests >= 1
        assert terms.size >= 10**6
        assert 0 < terms.price < 1
        assert terms.window > 0
        assert endpoint.provider
        assert endpoint.host

    @pytest.mark.asyncio
    async def test_every_request_has_one_reply_as_online(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime
    ) -> None:
        batch = await submitted(endpoint, bodies)
        assert batch.state in WHILE_IT_WAITS
        assert not batch.has_replies
        pass_time(self.window)
        ended = await endpoint.get(batch.id)
        assert ended is not None
        assert (ended.id, ended.state, ended.has_replies) == (batch.id, BatchState.ENDED, True)
        assert ended.total == len(bodies)
        replies = await replies_of(endpoint, ended)
        assert sorted(replies) == sorted(request_id(TAG, number) for number in range(len(bodies)))
        assert [reply for reply in replies.values() if reply.reason is not None or not reply.body] == []

    @pytest.mark.asyncio
    async def test_a_file_is_submitted_with_one_request_like_those_in_it(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime
    ) -> None:
        requests = [BatchRequest(request_id(TAG, number), dict(body)) for number, body in enumerate(bodies)]
        file = await endpoint.upload(iter(requests), TAG)
        batch = await endpoint.create(requests if file is None else requests[:1], file, TAG)
        assert isinstance(batch, ProviderBatch)
        pass_time(self.window)
        over = await endpoint.get(batch.id)
        assert over is not None
        assert len(await replies_of(endpoint, over)) == len(bodies)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("over", [False, True])
    async def test_a_batch_is_found_by_its_tag(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime, now: float, over: bool
    ) -> None:
        assert await endpoint.find(TAG, now, len(bodies)) == []
        batch = await submitted(endpoint, bodies)
        await submitted(endpoint, bodies[:2], ANOTHER)
        if over:
            pass_time(self.window)
        [found] = await endpoint.find(TAG, now, len(bodies))
        assert (found.id, found.tag in (None, TAG)) == (batch.id, True)
        assert await endpoint.find("q0123456789bcdefghij", now, 10**6) == []

    @pytest.mark.asyncio
    async def test_a_batch_that_is_over_is_no_longer_taken_for_another_one(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime, now: float
    ) -> None:
        batches = [await submitted(endpoint, bodies, tag) for tag in (TAG, ANOTHER)]
        pass_time(self.window)
        found = [await endpoint.find(tag, now, len(bodies)) for tag in (TAG, ANOTHER)]
        assert [[batch.id for batch in each] for each in found] == [[batch.id] for batch in batches]

    @pytest.mark.asyncio
    async def test_all_that_lies_there_is_listed(self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]]) -> None:
        created = {(await submitted(endpoint, bodies, tag)).id for tag in (TAG, ANOTHER)}
        assert {batch.id async for batch in endpoint.batches()} == created

    @pytest.mark.asyncio
    async def test_what_the_provider_does_not_know_is_none(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime
    ) -> None:
        batch = await submitted(endpoint, bodies)
        assert await endpoint.get(batch.id[:-1] + ("0" if batch.id[-1] != "0" else "1")) is None

    @pytest.mark.asyncio
    async def test_a_cancelled_batch_ends_and_what_it_has_not_done_may_be_sent_again(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime
    ) -> None:
        batch = await submitted(endpoint, bodies)
        await endpoint.cancel(batch.id)
        pass_time(self.window)
        over = await endpoint.get(batch.id)
        assert over is not None
        assert over.state.over
        replies = await replies_of(endpoint, over) if over.has_replies else {}
        assert all(reply.reason is None or reply.again for reply in replies.values())
        await endpoint.cancel(batch.id)
        assert await endpoint.get(batch.id) == over

    @pytest.mark.asyncio
    async def test_what_was_removed_has_no_replies_and_may_be_removed_again(
        self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]], pass_time: PassTime
    ) -> None:
        batch = await submitted(endpoint, bodies)
        pass_time(self.window)
        over = await endpoint.get(batch.id)
        assert over is not None
        assert await endpoint.delete(over) >= 1
        assert await endpoint.delete(over) == 0
        with pytest.raises(RepliesGoneError):
            await replies_of(endpoint, replace(over, has_replies=True))

    @pytest.mark.asyncio
    async def test_it_is_closed_twice_and_used_again(self, endpoint: BatchEndpoint, bodies: Sequence[dict[str, object]]) -> None:
        batch = await submitted(endpoint, bodies)
        await endpoint.aclose()
        await endpoint.aclose()
        assert await endpoint.get(batch.id) is not None
