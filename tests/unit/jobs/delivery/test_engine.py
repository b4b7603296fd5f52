"""What is delivered in batches is submitted once, kept once, and collected by whichever run comes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchTerms
from asyncrun.errors import BudgetError, TryLaterError
from asyncrun.jobfile.units import Deadline
from asyncrun.jobs.delivery.work import Delivery
from asyncrun.jobs.run_options import Retry, RunOptions
from asyncrun.ledger.provider_batches import RecordState
from asyncrun.records import text_key
from asyncrun.results import BatchUse
from tests.depth import DEEP
from tests.unit.jobs.delivery.provider import Folder, KilledError, Provider

TEXTS = [f"text {number}" for number in range(10)]


def test_all_is_put_into_as_few_batches_as_the_provider_takes(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.run(TEXTS).left == []
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [4, 4, 2]
    assert sorted(folder.provider.worked_on) == TEXTS
    assert {record.state for record in folder.records} == {RecordState.COLLECTED}


EACH = 1 if DEEP else 4
"""Each moment is tried where there is time for it, elsewhere each fourth one."""


@pytest.mark.parametrize(("files", "lost"), [(True, 0), (False, 1), *([(True, 1), (False, 0)] if DEEP else [])])
def test_a_kill_at_any_moment_submits_nothing_twice(tmp_path: Path, files: bool, lost: int) -> None:
    moment, killed = 1, True
    while killed:
        moment += EACH
        folder = Folder(tmp_path / str(moment), Provider(files=files, lost=lost, leaves={"text 3"}, refuses={"text 5"}))
        folder.path.mkdir()
        folder.provider.dies_at = moment
        try:
            folder.run(TEXTS)
            killed = False
        except KilledError:
            folder.provider.dies_at = None
            work = folder.run(TEXTS)
            assert work.left == []
            assert work.failed.keys() == {text_key("text 5")}, moment
        done = [text for text in TEXTS if text != "text 5"]
        assert sorted(folder.kept.values()) == done, moment
        assert sorted(folder.provider.worked_on) == sorted(set(folder.provider.worked_on)), moment
        assert all(not record.state.open for record in folder.records)
    assert moment > 20


def test_what_was_uploaded_by_a_run_that_was_killed_is_submitted_with_a_request_like_those_in_the_file(tmp_path: Path) -> None:
    seen: list[int] = []

    class Told(Provider):
        async def create(self, requests, file, tag):  # type: ignore[no-untyped-def]
            seen.append(len(list(requests)))
            return await super().create([], file, tag)

    folder = Folder(tmp_path, Told(dies_at=3))
    with pytest.raises(KilledError):
        folder.run(TEXTS[:3])
    folder.provider.dies_at = None
    assert folder.run(TEXTS[:3]).left == []
    assert seen == [3, 1]


def test_a_run_tells_what_it_has_done_by_batches(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:6], stop_after=30.0)
    assert folder.used == BatchUse(batches=2, rows=0, waiting=6)
    folder.run(TEXTS[:6])
    assert folder.used == BatchUse(batches=0, rows=6, waiting=0)


def test_a_run_that_must_end_leaves_batches_and_says_where_they_are(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError, match=r"3 batches of 10 requests are at api.example.com since .*: max runtime$") as ended:
        folder.run(TEXTS, stop_after=30.0)
    assert "Run the same command again" in ended.value.hint
    assert folder.run(TEXTS).left == []
    assert len(folder.provider.batches_there) == 3


def test_the_next_run_collects_what_is_ready_and_submits_what_is_new(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:4], stop_after=30.0)
    assert folder.run(TEXTS[:6]).left == []
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [4, 2]


def test_what_is_not_listed_yet_is_looked_for_again_before_it_is_submitted_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(lost=1, listed_after=40.0))
    assert folder.run(TEXTS[:3]).left == []
    assert len(folder.provider.batches_there) == 1


def test_of_two_batches_with_one_tag_the_first_is_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(lost=1, listed_after=70.0))
    assert folder.run(TEXTS[:3]).left == []
    assert len(folder.provider.batches_there) == 2
    assert folder.provider.cancelled == ["batch-1"]
    assert folder.records[0].batch == "batch-0"


def test_what_is_left_goes_into_another_batch_and_at_last_the_ordinary_way(tmp_path: Path) -> None:
    class Lazy(Provider):
        async def replies(self, batch):  # type: ignore[no-untyped-def]
            self.leaves = {"text 1"}
            async for reply in super().replies(batch):
                if reply.body != {"of": "text 1"}:
                    yield reply

    folder = Folder(tmp_path, Lazy())
    assert folder.run(TEXTS[:2]).left == ["text 1"]
    assert len(folder.provider.batches_there) == 3
    assert any("1 was not done and is sent again" in sentence for sentence in folder.said.sentences)


def test_stragglers_go_the_ordinary_way_at_once_where_the_job_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(leaves={"text 1"}))
    assert folder.run(TEXTS[:2], online_stragglers=True).left == ["text 1"]
    assert len(folder.provider.batches_there) == 1


def test_what_has_failed_by_itself_is_not_asked_again_by_the_next_run_but_by_a_retry(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(refuses={"text 1"}))
    assert folder.run(TEXTS[:2]).failed[text_key("text 1")].message == "not this one"
    assert folder.run(TEXTS[:2]).failed.keys() == {text_key("text 1")}
    assert len(folder.provider.batches_there) == 1
    folder.provider.refuses = set()
    assert folder.run(TEXTS[:2], options=RunOptions(retry=Retry())).left == []
    assert len(folder.provider.batches_there) == 2


def test_where_nothing_was_accepted_all_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(refuses={*TEXTS}))
    assert len(folder.run(TEXTS[:2]).failed) == 2
    folder.provider.refuses = set()
    assert folder.run(TEXTS[:2]).left == []


def test_a_ledger_on_another_machine_collects_the_same_batch(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    folder = Folder(first)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:3], stop_after=30.0)
    second.mkdir()
    (second / "ledger.db").write_bytes((first / "ledger.db").read_bytes())
    assert Folder(second, folder.provider).run(TEXTS[:3]).left == []
    assert folder.run(TEXTS[:3]).left == []
    assert len(folder.provider.batches_there) == 1


def test_another_job_collects_what_it_shares_with_one_that_has_ended(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:3], stop_after=30.0)
    assert folder.run(TEXTS[2:4], job="other").left == []
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [3, 1]
    assert folder.run(TEXTS[:3]).left == []
    assert len(folder.provider.batches_there) == 2


def test_a_batch_of_which_nothing_is_wanted_any_more_is_not_waited_for(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:3], stop_after=30.0)
    before = folder.provider.clock.monotonic()
    assert folder.run([]).left == []
    assert folder.provider.clock.monotonic() == before
    folder.provider.clock.jump_wall(1000.0)
    folder.run([])
    assert len(folder.kept) == 3


@pytest.mark.parametrize("left_by", [{"full": 1}, {"dies_at": 3}])
def test_a_batch_that_was_handed_over_and_is_not_wanted_any_more_is_not_submitted(tmp_path: Path, left_by: dict[str, int]) -> None:
    folder = Folder(tmp_path, Provider(**left_by))  # type: ignore[arg-type]
    with pytest.raises((TryLaterError, KilledError)):
        folder.run(TEXTS[:3], stop_after=0.1)
    folder.provider.full, folder.provider.dies_at = 0, None
    assert folder.run(["another"]).left == []
    assert folder.provider.worked_on == ["another"]


def test_a_budget_is_reserved_at_submission_and_corrected_at_collection(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(terms=BatchTerms(requests=4, size=10_000_000, price=0.5)), budget=0.021)
    with pytest.raises(BudgetError):
        folder.run(TEXTS)
    # Four at half of 0.01 are reserved and no fifth. They turn out to use half of that, which makes room for two, and these for one.
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [4, 2, 1]
    assert len(folder.kept) == 7


def test_a_kill_leaves_what_was_reserved(tmp_path: Path) -> None:
    folder = Folder(tmp_path, budget=0.021)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:4], stop_after=30.0)
    assert folder.run([*TEXTS[:4], "more"]).left == []
    first, second = folder.provider.batches_there.values()
    assert second.created >= first.created + folder.provider.takes


def test_at_the_deadline_what_waits_is_cancelled_and_the_rest_goes_the_ordinary_way(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(takes=1e6))
    began = folder.provider.clock.now()
    how = Delivery(folder.provider, folder.drawn, deadline=Deadline(seconds=7200.0))
    assert folder.run(TEXTS[:3], delivery=how).left == TEXTS[:3]
    assert folder.provider.cancelled == ["batch-0"]
    assert folder.provider.worked_on == []
    # Online they take a minute, and the provider has ten to cancel.
    assert 5_400.0 < folder.provider.clock.now() - began < 7_200.0 - 60.0
    assert [record.state for record in folder.records] == [RecordState.COLLECTED]


def test_what_is_cancelled_is_looked_at_again_soon(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(takes=1e6))
    began = folder.provider.clock.now()
    how = Delivery(folder.provider, folder.drawn, deadline=Deadline(seconds=7200.0))
    assert folder.run(TEXTS[:3], delivery=how).left == TEXTS[:3]
    # It waits until ten minutes and 1.25 minutes before.
    assert folder.provider.clock.now() - began <= 7_200.0 - 600.0 - 75.0 + folder.provider.terms.poll + 1.0


def test_a_run_after_the_deadline_collects_what_is_ready_and_submits_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    how = Delivery(folder.provider, folder.drawn, deadline=Deadline(seconds=7200.0))
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], delivery=how, stop_after=30.0)
    folder.provider.clock.jump_wall(10_000.0)
    assert folder.run(TEXTS[:3], delivery=how).left == ["text 2"]
    assert len(folder.provider.batches_there) == 1


def test_a_batch_that_the_budget_refuses_is_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path, budget=0.021)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:4], stop_after=30.0)
    with pytest.raises(BudgetError):
        folder.run(TEXTS)
    assert folder.used == BatchUse(batches=2, rows=7, waiting=0)


def test_a_batch_that_is_submitted_late_is_looked_at_as_soon_as_the_first_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(terms=BatchTerms(requests=4, size=10_000_000, price=0.5)), budget=0.3)
    with pytest.raises(BudgetError):
        folder.run([f"text {number}" for number in range(200)])
    made = [batch.created for batch in folder.provider.batches_there.values()]
    assert made[-1] - made[0] > 600.0
    assert max(later - earlier for earlier, later in pairwise(made)) <= folder.provider.takes + 60.0
