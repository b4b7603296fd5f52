"""What a provider may do with a batch beside answering it: refuse it, forget it, be full, be away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchState, BatchTerms, Refusal
from asyncrun.errors import EndpointError, OutageError, QuotaError, TryLaterError
from asyncrun.jobs.delivery.rounds import SMALL_AT_ONCE
from asyncrun.ledger.provider_batches import RecordState
from tests.unit.jobs.delivery.provider import Batch, Folder, Provider

TEXTS = [f"text {number}" for number in range(10)]


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
    folder = Folder(tmp_path, Provider(full=1))
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


@pytest.mark.parametrize("files", [True, False])
def test_a_batch_that_is_not_taken_although_nothing_waits_is_halved(tmp_path: Path, files: bool) -> None:
    class Small(Provider):
        async def create(self, requests, file, tag):  # type: ignore[no-untyped-def]
            lines = self.uploads[file] if file is not None else await asyncio.to_thread(list, requests)
            waiting = sum(len(each.requests) for name, each in self.batches_there.items() if not self._told(name).state.over)
            if waiting + len(lines) > 2:
                return Refusal("the queue is full", full=True)
            return await super().create(lines, file, tag)

    folder = Folder(tmp_path, Small(files=files))
    assert folder.run(TEXTS[:7]).left == []
    assert max(len(batch.requests) for batch in folder.provider.batches_there.values()) == 2
    assert sorted(folder.provider.worked_on) == TEXTS[:7]
    assert [record.state for record in folder.records if record.state.open] == []
    told = [sentence for sentence in folder.said.sentences if "takes no batch of 4 requests: the queue is full" in sentence]
    assert len(told) == 1


@pytest.mark.parametrize("stopped", [False, True])
def test_a_batch_that_has_waited_for_room_until_its_file_is_gone_is_handed_over_again(tmp_path: Path, stopped: bool) -> None:
    class Forgetful(Provider):
        async def create(self, requests, file, tag):  # type: ignore[no-untyped-def]
            if file == "file-0" and not self.full:
                return Refusal("You do not have permission to access the File, or it may not exist.", absent=True)
            return await super().create(requests, file, tag)

    folder = Folder(tmp_path, Forgetful(full=1))
    if stopped:
        with pytest.raises(TryLaterError):
            folder.run(TEXTS[:3], stop_after=0.1)
    assert folder.run(TEXTS[:3]).left == []
    assert [(batch.requests[0].body["text"], len(batch.requests)) for batch in folder.provider.batches_there.values()] == [("text 0", 3)]
    assert [record.state for record in folder.records] == [RecordState.GIVEN_UP, RecordState.COLLECTED]


def test_what_is_not_there_when_a_batch_is_handed_over_ends_the_run(tmp_path: Path) -> None:
    class Without(Provider):
        async def create(self, requests, file, tag):  # type: ignore[no-untyped-def]
            return Refusal("models/m is not found", absent=True)

    with pytest.raises(EndpointError, match="models/m is not found"):
        Folder(tmp_path, Without()).run(TEXTS[:3])


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


def test_a_batch_at_another_address_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], stop_after=30.0)
    folder.provider.host = "elsewhere.example.com"
    with pytest.raises(
        EndpointError, match=r"a batch of 2 requests is at api.example.com, and the model is asked at elsewhere.example.com"
    ):
        folder.run(TEXTS[:2])


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


def test_a_run_that_must_end_while_the_provider_is_away_ends_at_once_and_says_where_its_batches_are(tmp_path: Path) -> None:
    class Silent(Provider):
        async def get(self, batch_id, created=None):  # type: ignore[no-untyped-def]
            await asyncio.Event().wait()

    folder = Folder(tmp_path, Silent())
    with pytest.raises(TryLaterError, match=r"1 batch of 3 requests is at api.example.com since .*: max runtime$"):
        folder.run(TEXTS[:3], stop_after=0.1)


def test_a_batch_that_its_provider_does_not_end_is_cancelled_after_twice_its_time(tmp_path: Path) -> None:
    class Endless(Provider):
        async def cancel(self, batch_id: str) -> None:
            self.takes = 100.0
            await super().cancel(batch_id)

    folder = Folder(tmp_path, Endless(takes=1e9))
    before = folder.provider.clock.monotonic()
    assert folder.run(TEXTS[:3]).left == []
    assert folder.provider.cancelled == ["batch-0"]
    assert 2.0 <= (folder.provider.clock.monotonic() - before) / folder.provider.terms.window < 2.1
    assert any("without an end: it is cancelled" in sentence for sentence in folder.said.sentences)


@pytest.mark.parametrize("now", [{"host": "api.elsewhere.com"}, {"forgets": True}, {"refused": True}])
def test_a_batch_of_which_nothing_is_wanted_does_not_end_a_run(tmp_path: Path, now: dict[str, object]) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TryLaterError):
        folder.run(TEXTS[:2], stop_after=30.0)
    if now.pop("refused", False):
        folder.provider.batches_there["batch-0"].state = BatchState.FAILED
    for name, value in now.items():
        setattr(folder.provider, name, value)
    assert folder.run([]).left == []


def test_after_a_queue_was_full_for_a_while_few_small_batches_wait_and_the_next_ones_are_as_large_as_ever(tmp_path: Path) -> None:
    class Counting(Provider):
        most = 0

        async def create(self, requests, file, tag):  # type: ignore[no-untyped-def]
            made = await super().create(requests, file, tag)
            self.most = max(self.most, sum(not self._told(name).state.over for name in self.batches_there))
            return made

    texts = [f"text {number}" for number in range(200)]
    provider = Counting(full=12, terms=BatchTerms(requests=64, size=10_000_000))
    assert Folder(tmp_path, provider).run(texts).left == []
    sizes = [len(batch.requests) for batch in provider.batches_there.values()]
    assert (sizes[0], max(sizes), sorted(provider.worked_on)) == (1, 64, sorted(texts))
    assert provider.most <= SMALL_AT_ONCE


def test_nothing_more_is_handed_over_until_there_is_room_where_a_provider_takes_all_and_refuses_later(tmp_path: Path) -> None:
    class Later(Provider):
        def _told(self, name: str, *, listed: bool = False):  # type: ignore[no-untyped-def]
            batch = self.batches_there[name]
            others = [other for other in self.batches_there.values() if other is not batch and other.state is BatchState.WAITING]
            there = [other for other in others if other.created <= batch.created and self.clock.now() < other.created + self.takes]
            if batch.state is BatchState.WAITING and sum(len(each.requests) for each in [*there, batch]) > 5:
                batch.state, batch.full, batch.message = BatchState.FAILED, True, "enqueued token limit reached"
                self.worked_on = [text for text in self.worked_on if text not in {line.body["text"] for line in batch.requests}]
            return super()._told(name, listed=listed)

    provider, texts = Later(takes=3600.0, terms=BatchTerms(requests=32, size=10_000_000)), [f"text {number}" for number in range(64)]
    assert Folder(tmp_path, provider).run(texts).left == []
    assert sorted(provider.worked_on) == sorted(texts)
    done = sum(batch.state is BatchState.ENDED for batch in provider.batches_there.values())
    assert len(provider.uploads) <= 5 * done
