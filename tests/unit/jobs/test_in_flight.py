"""What one job is sending, another one does not send: it waits, and learns what came of it."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.errors import StorageError, TryLaterError
from asyncrun.jobs.in_flight import Claims
from asyncrun.process_locks import hold_folder
from asyncrun.records import EmbedFailure, content_key
from asyncrun.testing.clock import FakeClock

ONE, TWO, THREE = map(content_key, ("one", "two", "three"))


class Watched(FakeClock):
    """A clock that says when somebody has looked in vain, and looks again later."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.looked.set()
        await super().sleep(seconds)


@pytest.fixture
def clock() -> Watched:
    return Watched()


@pytest.fixture
def claims(tmp_path: Path, clock: Watched) -> Claims:
    return Claims(tmp_path / "claims", "jobs.yaml/job", clock)


@pytest.mark.asyncio
async def test_a_text_belongs_to_the_first_who_asks(claims: Claims) -> None:
    async with claims.claim("space", [ONE, TWO]) as first, claims.claim("space", [TWO, THREE]) as second:
        assert first.mine.tolist() == [True, True]
        assert second.mine.tolist() == [False, True]
        assert [(other.of, other.texts) for other in second.others] == [("jobs.yaml/job", 1)]


@pytest.mark.asyncio
async def test_another_space_is_another_text(claims: Claims) -> None:
    async with claims.claim("space", [ONE]), claims.claim("other", [ONE]) as other:
        assert other.mine.tolist() == [True]
        assert list(other.others) == []


@pytest.mark.asyncio
async def test_whoever_waits_is_told_when_the_other_has_ended_and_what_failed(claims: Claims, clock: Watched) -> None:
    async with claims.claim("space", [ONE]) as first, claims.claim("space", [ONE]) as second:
        waiting = asyncio.create_task(second.wait())
        await clock.looked.wait()
        assert not waiting.done()
        first.failed[ONE] = EmbedFailure(3, "refused", "no", 2)
        assert await first.wait() == {}
        assert await waiting == {ONE: EmbedFailure(0, "refused", "no", 2)}


@pytest.mark.asyncio
async def test_whoever_waits_gives_up_its_own_first_so_that_two_who_wait_for_each_other_go_on(claims: Claims) -> None:
    async with (
        claims.claim("space", [ONE]) as first,
        claims.claim("space", [ONE, TWO]) as second,
        claims.claim("space", [TWO]) as third,
    ):
        assert [share.mine.tolist() for share in (second, third)] == [[False, True], [False]]
        async with asyncio.timeout(30):
            await asyncio.gather(*(share.wait() for share in (third, second, first)))


@pytest.mark.asyncio
async def test_what_has_ended_can_be_claimed_again_and_leaves_nothing(claims: Claims) -> None:
    async with claims.claim("space", [ONE]):
        pass
    async with claims.claim("space", [ONE]) as again:
        assert again.mine.tolist() == [True]
    assert list(claims.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_text_that_several_ask_for_at_once_belongs_to_one(claims: Claims) -> None:
    all_have_asked = asyncio.Barrier(3)

    async def ask() -> list[bool]:
        async with claims.claim("space", [ONE, TWO]) as share:
            await all_have_asked.wait()
            return share.mine.tolist()

    answers = await asyncio.gather(ask(), ask(), ask())
    assert sorted(answers) == [[False, False], [False, False], [True, True]]


@pytest.mark.asyncio
async def test_a_claim_waits_while_somebody_else_looks_and_ends_when_it_is_cancelled(claims: Claims, clock: Watched) -> None:
    async def claim() -> None:
        async with claims.claim("space", [ONE]):
            pytest.fail("two look at once")

    claims.folder.mkdir()
    with hold_folder(claims.folder):
        claiming = asyncio.create_task(claim())
        await clock.looked.wait()
        claiming.cancel()
        await asyncio.wait([claiming])
    assert claiming.cancelled()
    assert list(claims.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_job_that_must_end_does_not_wait_until_somebody_else_has_looked(claims: Claims) -> None:
    claims.folder.mkdir()
    over = iter([None, None, TryLaterError("stopped early: max runtime")])
    with hold_folder(claims.folder), pytest.raises(TryLaterError, match="max runtime"):
        async with replace(claims, stopped=over.__next__).claim("space", [ONE]):
            pytest.fail("two look at once")


@pytest.mark.asyncio
async def test_a_question_is_asked_by_one_at_a_time(claims: Claims, clock: Watched) -> None:
    asking = most = 0

    async def ask() -> bool:
        nonlocal asking, most
        async with claims.alone(ONE, lambda: True) as mine:
            asking += 1
            most = max(most, asking)
            await clock.looked.wait()
            asking -= 1
            return mine

    assert await asyncio.gather(*(ask() for _ in range(4))) == [True] * 4
    assert most == 1
    assert list(claims.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_question_that_does_not_matter_any_more_is_not_waited_for(claims: Claims) -> None:
    async with claims.alone(ONE, lambda: True), claims.alone(ONE, iter([True, True, False]).__next__) as mine:
        assert not mine


@pytest.mark.asyncio
async def test_only_the_owner_can_read_what_is_claimed(claims: Claims) -> None:
    async with claims.claim("space", [ONE]), claims.alone(TWO, lambda: True):
        assert stat.S_IMODE(claims.folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in claims.folder.iterdir()] == [0o600, 0o600]


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("")
    claims = Claims(tmp_path / "claims", "jobs.yaml/job", FakeClock())
    with pytest.raises(StorageError, match="claims what is being sent"):
        async with claims.claim("space", [ONE]):
            pass
    with pytest.raises(StorageError, match="claims what is being sent"):
        async with claims.alone(ONE, lambda: True):
            pass
