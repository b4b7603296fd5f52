"""What goes wrong at a provider is told as it is: nothing is created twice, and no reply is lost or taken for another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.batches.interface import BatchReply, BatchRequest, BatchState, ProviderBatch, Refusal
from asyncrun.errors import AuthError, RepliesGoneError
from asyncrun.registry import BUILT_IN
from asyncrun.testing import BatchFaults
from asyncrun.testing.batch_servers import VendorTerms
from asyncrun.testing.batches import TAG, replies_of, submitted

from .conftest import START, Rehearsal

Rehearse = Callable[..., Rehearsal]
BODIES: list[dict[str, Any]] = [{"model": "m", "input": [f"text {number}"]} for number in range(6)]
CHATS: list[dict[str, Any]] = [{"model": "m", "messages": [{"role": "user", "content": f"{n}?"}], "max_tokens": 9} for n in range(6)]
EVERY = pytest.mark.parametrize("provider", sorted(BUILT_IN["batches"]))


def opened(rehearsal: Rehearsal, provider: str) -> tuple[Any, list[dict[str, Any]]]:
    """Return an adapter, for answers where there are any, and JSON of requests for it."""
    purpose = "embeddings" if provider == "voyage" else "chat"
    return rehearsal.endpoint(provider, purpose), BODIES if provider == "voyage" else CHATS


async def ended(endpoint: Any, rehearsal: Rehearsal, bodies: list[dict[str, Any]] = BODIES, seconds: float = 90_000.0) -> ProviderBatch:
    """Submit, let the time pass, and return the batch at its end."""
    batch = await submitted(endpoint, bodies)
    rehearsal.batches.advance(seconds)
    over = await endpoint.get(batch.id)
    assert over is not None
    return over


async def all_replies(endpoint: Any, batch: ProviderBatch) -> list[BatchReply]:
    return [reply async for reply in endpoint.replies(batch)]


@EVERY
@pytest.mark.asyncio
async def test_a_lost_reply_to_the_submission_is_told_and_the_batch_is_found(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(lost_reply=True, first=1))
    endpoint, bodies = opened(rehearsal, provider)
    requests = [BatchRequest(f"{TAG}-{number}", body) for number, body in enumerate(bodies)]
    file = await endpoint.upload(requests, TAG)
    assert await endpoint.create(requests, file, TAG) is None
    [found] = await endpoint.find(TAG, START, len(requests))
    assert [batch.id for batch in rehearsal.batches.books.created] == [found.id]
    rehearsal.batches.advance(3600.0)
    [found] = await endpoint.find(TAG, START, len(requests))
    assert (found.tag, found.has_replies) == (TAG, True)
    assert len(await replies_of(endpoint, found)) == len(bodies)


@pytest.mark.asyncio
async def test_a_submission_on_a_connection_that_was_kept_is_sent_once(rehearse: Rehearse) -> None:
    rehearsal = rehearse(faults=BatchFaults(lost_reply=True))
    endpoint = rehearsal.endpoint("openai", "embeddings")
    requests = [BatchRequest(f"{TAG}-0", BODIES[0])]
    file = await endpoint.upload(requests, TAG)
    for submissions in (1, 2, 3):
        assert await endpoint.create(requests, file, TAG) is None
        assert len(rehearsal.batches.books.created) == submissions


@pytest.mark.asyncio
async def test_a_batch_that_is_refused_says_why(rehearse: Rehearse) -> None:
    endpoint = rehearse(faults=BatchFaults(refused=True)).endpoint("openai", "embeddings")
    file = await endpoint.upload([BatchRequest(f"{TAG}-0", BODIES[0])], TAG)
    refusal = await endpoint.create([], file, TAG)
    assert isinstance(refusal, Refusal)
    assert refusal.message


@pytest.mark.asyncio
async def test_a_file_that_is_gone_is_a_refusal_and_not_a_wrong_address(rehearse: Rehearse) -> None:
    refusal = await rehearse().endpoint("openai", "embeddings").create([], "file-of-last-year", TAG)
    assert isinstance(refusal, Refusal)
    assert not refusal.full


@pytest.mark.asyncio
async def test_too_many_tokens_that_wait_are_told_later_and_as_such(rehearse: Rehearse) -> None:
    rehearsal = rehearse(terms={"openai": VendorTerms(lines=50_000, size=200_000_000, tokens=3)})
    over = await ended(rehearsal.endpoint("openai", "embeddings"), rehearsal)
    assert (over.state, over.full) == (BatchState.FAILED, True)
    assert "nqueued token limit" in (over.message or "")


@pytest.mark.asyncio
async def test_a_batch_that_is_not_seen_at_once_is_asked_for_again(rehearse: Rehearse) -> None:
    endpoint = rehearse(faults=BatchFaults(unseen=2)).endpoint("openai", "embeddings")
    batch = await submitted(endpoint, BODIES)
    assert await endpoint.get(batch.id, batch.created) is not None


@pytest.mark.asyncio
async def test_a_batch_of_yesterday_that_is_not_seen_is_gone(rehearse: Rehearse) -> None:
    endpoint = rehearse(faults=BatchFaults(unseen=1)).endpoint("openai", "embeddings")
    batch = await submitted(endpoint, BODIES)
    assert await endpoint.get(batch.id, START - 86_400.0) is None


@EVERY
@pytest.mark.asyncio
async def test_foreign_replies_are_left_out_and_told(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(foreign_ids=2))
    endpoint, bodies = opened(rehearsal, provider)
    replies = await replies_of(endpoint, await ended(endpoint, rehearsal, bodies))
    assert len(replies) == len(bodies)
    [warning] = rehearsal.warnings
    assert "2 lines" in warning
    assert "not ours" in warning


@EVERY
@pytest.mark.asyncio
async def test_doubled_replies_are_both_there_and_missing_ones_are_missing(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(doubled_ids=1, missing_ids=2))
    endpoint, bodies = opened(rehearsal, provider)
    replies = await all_replies(endpoint, await ended(endpoint, rehearsal, bodies))
    assert len(replies) == len(bodies) - 2 + 1
    assert len({reply.custom_id for reply in replies}) == len(bodies) - 2


@EVERY
@pytest.mark.asyncio
async def test_half_a_line_is_left_out_and_told(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(half_line=True))
    endpoint, bodies = opened(rehearsal, provider)
    assert len(await all_replies(endpoint, await ended(endpoint, rehearsal, bodies))) == len(bodies) - 1
    [warning] = rehearsal.warnings
    assert "1 cannot be read" in warning


@EVERY
@pytest.mark.asyncio
async def test_replies_that_are_gone_are_an_error_of_their_own(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(output_gone=True))
    endpoint, bodies = opened(rehearsal, provider)
    with pytest.raises(RepliesGoneError):
        await all_replies(endpoint, await ended(endpoint, rehearsal, bodies))


@pytest.mark.asyncio
async def test_a_state_that_nobody_has_documented_is_waited_for(rehearse: Rehearse) -> None:
    rehearsal = rehearse(faults=BatchFaults(strange_state="rebalancing"))
    endpoint = rehearsal.endpoint("openai", "embeddings")
    batch = await submitted(endpoint, BODIES)
    rehearsal.batches.advance(30.0)
    strange = await endpoint.get(batch.id)
    assert (strange.state, strange.word, strange.has_replies) == (BatchState.UNKNOWN, "rebalancing", False)


@pytest.mark.asyncio
@pytest.mark.parametrize("provider", ["anthropic", "openai", "voyage"])
async def test_a_batch_that_expires_gives_what_it_has_and_the_rest_may_be_sent_again(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(stragglers=0.3))
    endpoint, bodies = opened(rehearsal, provider)
    over = await ended(endpoint, rehearsal, bodies)
    assert over.state is (BatchState.ENDED if provider == "anthropic" else BatchState.EXPIRED)
    replies = await replies_of(endpoint, over)
    done = [reply for reply in replies.values() if reply.reason is None]
    assert 0 < len(done) < len(replies) == len(bodies)
    assert all(reply.again for reply in replies.values() if reply.reason is not None)


@pytest.mark.asyncio
async def test_of_gemini_nothing_is_left_of_a_batch_that_expires(rehearse: Rehearse) -> None:
    rehearsal = rehearse(faults=BatchFaults(stragglers=0.3))
    endpoint, bodies = opened(rehearsal, "gemini")
    over = await ended(endpoint, rehearsal, bodies, seconds=2 * 90_000.0)
    assert (over.state, over.has_replies) == (BatchState.EXPIRED, False)
    assert await all_replies(endpoint, over) == []


@EVERY
@pytest.mark.asyncio
async def test_when_every_line_fails_it_has_ended_and_each_may_be_sent_again(rehearse: Rehearse, provider: str) -> None:
    rehearsal = rehearse(faults=BatchFaults(failing=1.0))
    endpoint, bodies = opened(rehearsal, provider)
    over = await ended(endpoint, rehearsal, bodies)
    assert (over.state, over.has_replies) == (BatchState.ENDED, True)
    replies = await replies_of(endpoint, over)
    assert len(replies) == len(bodies)
    assert all(reply.again and reply.reason == "server_error" for reply in replies.values())


@pytest.mark.asyncio
async def test_with_another_key_a_batch_is_not_known(rehearse: Rehearse) -> None:
    rehearsal = rehearse()
    batch = await submitted(rehearsal.endpoint("openai", "embeddings"), BODIES)
    other = rehearsal.endpoint("openai", "embeddings", api_key="another-key-of-ours")
    assert await other.get(batch.id) is None
    assert await other.find(TAG, START, len(BODIES)) == []


@pytest.mark.asyncio
async def test_a_refused_key_ends_every_call_with_its_own_error(rehearse: Rehearse) -> None:
    rehearsal = rehearse()
    rehearsal.server.key = "the-right-key"
    endpoint = rehearsal.endpoint("openai", "embeddings", api_key="a-wrong-key-of-mine")
    with pytest.raises(AuthError) as refused:
        await endpoint.upload([BatchRequest(f"{TAG}-0", BODIES[0])], TAG)
    assert "a-wrong-key-of-mine" not in str(refused.value)
    with pytest.raises(AuthError):
        await endpoint.create([], "file-1", TAG)
    with pytest.raises(AuthError):
        await endpoint.get("batch_1")


@pytest.mark.asyncio
async def test_the_list_is_read_page_by_page(rehearse: Rehearse) -> None:
    rehearsal = rehearse()
    endpoint = rehearsal.endpoint("openai", "embeddings")
    file = await endpoint.upload([BatchRequest(f"{TAG}-0", BODIES[0])], TAG)
    for number in range(205):
        await endpoint.create([], file, f"{number:020d}")
    assert len({batch.tag async for batch in endpoint.batches()}) == 205
    assert [batch.tag for batch in await endpoint.find(f"{3:020d}", START, 1)] == [f"{3:020d}"]
