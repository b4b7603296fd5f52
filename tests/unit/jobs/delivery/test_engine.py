"""What is delivered in batches is submitted once, kept once, and collected by whichever run comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchState, BatchTerms
from asyncrun.errors import BudgetError, EndpointError, OutageError, QuotaError, TryLaterError
from asyncrun.jobfile.units import Deadline
from asyncrun.jobs.delivery.work import Delivery
from asyncrun.jobs.run_options import Retry, RunOptions
from asyncrun.ledger.provider_batches import RecordState
from asyncrun.records import text_key
from asyncrun.results import BatchUse
from tests.depth import DEEP
from tests.unit.jobs.delivery.provider import Batch, Folder, KilledError, Provider

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
    assert any("1 was not done and is put into another batch" in sentence for sentence in folder.said.sentences)


def test_stragglers_go_the_ordinary_way_at_once_where_the_job_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(leaves={"text 1"}))
    assert folder.run(TEXTS[:2], stragglers="online").left == ["text 1"]
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


def test_a_batch_that_the_provider_does_not_know_is_not_submitted_again_in_silence(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], stop_after=30.0)
    folder.provider.forgets = True
    with pytest.raises(EndpointError, match="does not know the batch batch-0 of 2 requests") as ended:
        folder.run(TEXTS[:2])
    assert "key" in ended.value.hint
    assert folder.records[0].tag in ended.value.hint
    assert len(folder.provider.batches_there) == 1


def test_a_batch_that_is_not_kept_any_more_is_submitted_again_and_that_is_said(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], stop_after=30.0)
    folder.provider.clock.jump_wall(40 * 86_400.0)
    del folder.provider.batches_there["batch-0"]
    folder.provider.batches_there["other"] = Batch("other", [], 0.0)
    told = folder.provider._told

    def forgetful(name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
        return None if name == "batch-0" else told(name, listed=listed)

    folder.provider._told = forgetful  # type: ignore[method-assign]
    assert folder.run(TEXTS[:2]).left == []
    assert any("has not kept the batch batch-0" in sentence for sentence in folder.said.sentences)


def test_a_batch_that_waits_for_room_is_submitted_once_there_is_some(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(full=2))
    assert folder.run(TEXTS).left == []
    assert len(folder.provider.uploads) == 3


def test_a_batch_that_is_too_large_for_the_queue_is_halved(tmp_path: Path) -> None:
    class Small(Provider):
        def _told(self, name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
            batch = self.batches_there[name]
            if len(batch.requests) > 2:
                batch.state, batch.full, batch.message = BatchState.FAILED, True, "enqueued token limit reached"
                self.worked_on = [text for text in self.worked_on if text not in {line.body["text"] for line in batch.requests}]
            return super()._told(name, listed=listed)

    folder = Folder(tmp_path, Small())
    assert folder.run(TEXTS[:4]).left == []
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [4, 2, 2]
    assert sorted(folder.provider.worked_on) == TEXTS[:4]


def test_one_request_that_is_too_large_for_the_queue_ends_the_run(tmp_path: Path) -> None:
    class Closed(Provider):
        def _told(self, name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
            batch = self.batches_there[name]
            batch.state, batch.full, batch.message = BatchState.FAILED, True, "enqueued token limit reached"
            return super()._told(name, listed=listed)

    with pytest.raises(QuotaError, match="enqueued token limit reached"):
        Folder(tmp_path, Closed()).run(TEXTS[:1])


def test_a_batch_that_is_refused_for_good_ends_the_run_with_the_providers_words(tmp_path: Path) -> None:
    class Refusing(Provider):
        def _told(self, name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
            batch = self.batches_there[name]
            batch.state, batch.message = BatchState.FAILED, "model_not_found"
            return super()._told(name, listed=listed)

    folder = Folder(tmp_path, Refusing())
    with pytest.raises(EndpointError, match="refuses the batch batch-0 of 2 requests: model_not_found"):
        folder.run(TEXTS[:2])
    assert folder.records[0].state is RecordState.GIVEN_UP


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


def test_a_budget_is_reserved_at_submission_and_corrected_at_collection(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Provider(terms=BatchTerms(requests=4, size=10_000_000, price=0.5)), budget=0.021)
    with pytest.raises(BudgetError):
        folder.run(TEXTS)
    # Four at half of 0.01 are reserved and no fifth; what they have used, a quarter of it, is known only later.
    assert [len(batch.requests) for batch in folder.provider.batches_there.values()] == [4]
    assert len(folder.kept) == 4


def test_a_kill_leaves_what_was_reserved(tmp_path: Path) -> None:
    folder = Folder(tmp_path, budget=0.021)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:4], stop_after=30.0)
    with pytest.raises(BudgetError):
        folder.run([*TEXTS[:4], "more"])
    assert len(folder.kept) == 4


def test_a_batch_at_another_address_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], stop_after=30.0)
    folder.provider.host = "elsewhere.example.com"
    with pytest.raises(
        EndpointError, match=r"a batch of 2 requests is at api.example.com, and the model is asked at elsewhere.example.com"
    ):
        folder.run(TEXTS[:2])


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


def test_a_run_after_the_deadline_collects_what_is_ready_and_submits_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    how = Delivery(folder.provider, folder.drawn, deadline=Deadline(seconds=7200.0))
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], delivery=how, stop_after=30.0)
    folder.provider.clock.jump_wall(10_000.0)
    assert folder.run(TEXTS[:3], delivery=how).left == ["text 2"]
    assert len(folder.provider.batches_there) == 1


def test_words_of_a_provider_that_nobody_has_documented_are_waited_through(tmp_path: Path) -> None:
    class Strange(Provider):
        def _told(self, name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
            told = super()._told(name, listed=listed)
            return told if told.state.over else replace(told, state=BatchState.UNKNOWN, word="rebalancing")

    assert Folder(tmp_path, Strange()).run(TEXTS[:3]).left == []


def test_a_provider_that_is_away_for_a_while_is_asked_again(tmp_path: Path) -> None:
    class Away(Provider):
        failed = 0

        async def get(self, batch_id, created=None):  # type: ignore[no-untyped-def]
            self.failed += 1
            if self.failed <= 3:
                raise OutageError("api.example.com does not answer")
            return await super().get(batch_id, created)

    folder = Folder(tmp_path, Away())
    assert folder.run(TEXTS[:3]).left == []
    assert len([sentence for sentence in folder.said.sentences if "are asked for again" in sentence]) == 1
