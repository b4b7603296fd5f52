"""By a deadline: batches are waited for while there is time, over as many runs as it takes; what is left is then sent online, once."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchTerms, ProviderBatch
from asyncrun.errors import TryLaterError
from asyncrun.jobfile.units import Deadline
from asyncrun.jobs.delivery.work import Delivery
from tests.unit.jobs.delivery.provider import Folder, Provider

TEXTS = [f"text {number}" for number in range(10)]
TWO_HOURS = Deadline(seconds=7200.0)
QUARTER = 900.0


class SlowProvider(Provider):
    """It never comes to its third batch."""

    def _told(self, name: str, *, listed: bool = False) -> ProviderBatch:
        self.takes = math.inf if name == "batch-2" else 100.0
        return super()._told(name, listed=listed)


def by(folder: Folder, deadline: Deadline = TWO_HOURS) -> Delivery:
    return Delivery(folder.provider, folder.drawn, deadline=deadline)


def test_what_is_not_done_shortly_before_is_cancelled_and_left_for_the_way_online(tmp_path: Path) -> None:
    folder = Folder(tmp_path, SlowProvider())
    began = folder.provider.clock.now()
    work = folder.run(TEXTS, delivery=by(folder))
    assert work.left == TEXTS[8:]
    assert folder.provider.cancelled == ["batch-2"]
    # What is left still takes 60 s online.
    assert began + 6000 < folder.provider.clock.now() <= began + 7200 - 60
    assert sorted(folder.provider.worked_on) == TEXTS[:8]


def test_the_deadline_counts_from_the_first_batch_however_often_cron_calls(tmp_path: Path) -> None:
    folder = Folder(tmp_path, SlowProvider())
    began, runs, left = folder.provider.clock.now(), 0, TEXTS
    while left == TEXTS:
        runs += 1
        try:
            left = folder.run(TEXTS, delivery=by(folder), stop_after=QUARTER / 2).left
        except TryLaterError:
            asyncio.run(folder.provider.clock.advance(QUARTER / 2))
    assert left == TEXTS[8:]
    assert runs > 3
    assert folder.provider.clock.now() <= began + 7200 - 60
    assert len(folder.provider.batches_there) == 3


def test_too_little_time_submits_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.run(TEXTS, delivery=by(folder, Deadline(seconds=1800.0))).left == TEXTS
    assert folder.provider.batches_there == {}
    assert folder.records == []


@pytest.mark.parametrize("left", [2, 10])
def test_a_night_with_two_in_a_hundred_left_costs_little_more_than_half(tmp_path: Path, left: int) -> None:
    texts = [f"row {number}" for number in range(50 * left)]
    leaves = set(texts[::50])
    folder = Folder(tmp_path, Provider(terms=BatchTerms(requests=100, size=10_000_000), leaves=set(leaves)))
    work = folder.run(texts, delivery=by(folder), online_stragglers=True)
    assert set(work.left) == leaves
    cost = 0.5 * len(folder.provider.worked_on) + len(work.left)
    assert round(cost / len(texts), 2) == 0.51
