"""What one job of a run is sending, another one does not send."""

from __future__ import annotations

import asyncio

import pytest

from asyncrun.kinds.claims import Claims
from asyncrun.records import EmbedFailure, content_key

ONE, TWO, THREE = map(content_key, ("one", "two", "three"))


@pytest.mark.asyncio
async def test_a_text_belongs_to_the_first_who_asks() -> None:
    claims = Claims()
    async with claims.claim("space", [ONE, TWO]) as first, claims.claim("space", [TWO, THREE]) as second:
        assert first.mine.tolist() == [True, True]
        assert second.mine.tolist() == [False, True]


@pytest.mark.asyncio
async def test_another_space_is_another_text() -> None:
    claims = Claims()
    async with claims.claim("space", [ONE]), claims.claim("other", [ONE]) as other:
        assert other.mine.tolist() == [True]
        assert list(other.others) == []


@pytest.mark.asyncio
async def test_whoever_waits_is_told_when_the_other_has_ended_and_what_failed() -> None:
    claims, failure = Claims(), EmbedFailure(0, "refused", "no")
    async with claims.claim("space", [ONE]) as first:
        async with claims.claim("space", [ONE]) as second:
            pass
        waiting = asyncio.create_task(second.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        first.own.failed[ONE] = failure
    assert await waiting == {ONE: failure}


@pytest.mark.asyncio
async def test_what_has_ended_can_be_claimed_again() -> None:
    claims = Claims()
    async with claims.claim("space", [ONE]):
        pass
    async with claims.claim("space", [ONE]) as again:
        assert again.mine.tolist() == [True]


@pytest.mark.asyncio
async def test_whoever_looked_before_another_had_ended_is_told_to_look_again() -> None:
    claims = Claims()
    before = claims.ended("space")
    async with claims.claim("space", [ONE], seen=before) as first:
        assert not first.outdated
    async with claims.claim("space", [ONE], seen=before) as late, claims.claim("other", [ONE]) as other:
        assert late.outdated
        assert not other.outdated
    async with claims.claim("space", [ONE], seen=claims.ended("space")) as fresh:
        assert not fresh.outdated


@pytest.mark.asyncio
async def test_a_text_that_several_ask_for_at_once_belongs_to_one() -> None:
    claims, all_have_asked = Claims(), asyncio.Barrier(3)

    async def ask() -> list[bool]:
        async with claims.claim("space", [ONE, TWO]) as share:
            await all_have_asked.wait()
            return share.mine.tolist()

    answers = await asyncio.gather(ask(), ask(), ask())
    assert sorted(answers) == [[False, False], [False, False], [True, True]]
