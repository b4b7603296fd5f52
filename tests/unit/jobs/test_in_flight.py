"""What one job is sending, another one does not send: it waits, and learns what came of it."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.errors import StorageError, TryLaterError
from asyncrun.jobs.in_flight import Leases
from asyncrun.process_locks import hold_folder
from asyncrun.records import EmbedFailure, text_key
from asyncrun.testing.clock import FakeClock

ONE, TWO, THREE = map(text_key, ("one", "two", "three"))


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
def leases(tmp_path: Path, clock: Watched) -> Leases:
    return Leases(tmp_path / "claims", "jobs.yaml/job", clock)


@pytest.mark.asyncio
async def test_a_text_belongs_to_the_first_who_asks(leases: Leases) -> None:
    async with leases.take_texts("space", [ONE, TWO]) as first, leases.take_texts("space", [TWO, THREE]) as second:
        assert first.mine.tolist() == [True, True]
        assert second.mine.tolist() == [False, True]
        assert [(other.of, other.texts) for other in second.others] == [("jobs.yaml/job", 1)]


@pytest.mark.asyncio
async def test_another_space_is_another_text(leases: Leases) -> None:
    async with leases.take_texts("space", [ONE]), leases.take_texts("other", [ONE]) as other:
        assert other.mine.tolist() == [True]
        assert list(other.others) == []


@pytest.mark.asyncio
async def test_whoever_waits_is_told_when_the_other_has_ended_and_what_failed(leases: Leases, clock: Watched) -> None:
    async with leases.take_texts("space", [ONE]) as first, leases.take_texts("space", [ONE]) as second:
        waiting = asyncio.create_task(second.wait())
        await clock.looked.wait()
        assert not waiting.done()
        first.failed[ONE] = EmbedFailure(3, "refused", "no", 2)
        assert await first.wait() == {}
        assert await waiting == {ONE: EmbedFailure(0, "refused", "no", 2)}


@pytest.mark.asyncio
async def test_whoever_waits_gives_up_its_own_first_so_that_two_who_wait_for_each_other_go_on(leases: Leases) -> None:
    async with (
        leases.take_texts("space", [ONE]) as first,
        leases.take_texts("space", [ONE, TWO]) as second,
        leases.take_texts("space", [TWO]) as third,
    ):
        assert [leased.mine.tolist() for leased in (second, third)] == [[False, True], [False]]
        async with asyncio.timeout(30):
            await asyncio.gather(*(leased.wait() for leased in (third, second, first)))


@pytest.mark.asyncio
async def test_what_has_ended_can_be_claimed_again_and_leaves_nothing(leases: Leases) -> None:
    async with leases.take_texts("space", [ONE]):
        pass
    async with leases.take_texts("space", [ONE]) as again:
        assert again.mine.tolist() == [True]
    assert list(leases.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_text_that_several_ask_for_at_once_belongs_to_one(leases: Leases) -> None:
    all_have_asked = asyncio.Barrier(3)

    async def ask() -> list[bool]:
        async with leases.take_texts("space", [ONE, TWO]) as leased:
            await all_have_asked.wait()
            return leased.mine.tolist()

    answers = await asyncio.gather(ask(), ask(), ask())
    assert sorted(answers) == [[False, False], [False, False], [True, True]]


@pytest.mark.asyncio
async def test_a_claim_waits_while_somebody_else_looks_and_ends_when_it_is_cancelled(leases: Leases, clock: Watched) -> None:
    async def claim() -> None:
        async with leases.take_texts("space", [ONE]):
            pytest.fail("two look at once")

    leases.folder.mkdir()
    with hold_folder(leases.folder):
        claiming = asyncio.create_task(claim())
        await clock.looked.wait()
        claiming.cancel()
        await asyncio.wait([claiming])
    assert claiming.cancelled()
    assert list(leases.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_job_that_must_end_does_not_wait_until_somebody_else_has_looked(leases: Leases) -> None:
    leases.folder.mkdir()
    over = iter([None, None, TryLaterError("stopped early: max runtime")])
    with hold_folder(leases.folder), pytest.raises(TryLaterError, match="max runtime"):
        async with replace(leases, stopped=over.__next__).take_texts("space", [ONE]):
            pytest.fail("two look at once")


@pytest.mark.asyncio
async def test_a_question_is_asked_by_one_at_a_time(leases: Leases, clock: Watched) -> None:
    asking = most = 0

    async def ask() -> bool:
        nonlocal asking, most
        async with leases.take_question(ONE, lambda: True) as mine:
            asking += 1
            most = max(most, asking)
            await clock.looked.wait()
            asking -= 1
            return mine

    assert await asyncio.gather(*(ask() for _ in range(4))) == [True] * 4
    assert most == 1
    assert list(leases.folder.iterdir()) == []


@pytest.mark.asyncio
async def test_a_question_that_does_not_matter_any_more_is_not_waited_for(leases: Leases) -> None:
    async with leases.take_question(ONE, lambda: True), leases.take_question(ONE, iter([True, True, False]).__next__) as mine:
        assert not mine


@pytest.mark.asyncio
async def test_only_the_owner_can_read_what_is_claimed(leases: Leases) -> None:
    async with leases.take_texts("space", [ONE]), leases.take_question(TWO, lambda: True):
        assert stat.S_IMODE(leases.folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in leases.folder.iterdir()] == [0o600, 0o600]


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("")
    leases = Leases(tmp_path / "claims", "jobs.yaml/job", FakeClock())
    with pytest.raises(StorageError, match="claims what is being sent"):
        async with leases.take_texts("space", [ONE]):
            pass
    with pytest.raises(StorageError, match="claims what is being sent"):
        async with leases.take_question(ONE, lambda: True):
            pass
