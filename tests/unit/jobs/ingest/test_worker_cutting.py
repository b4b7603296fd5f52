"""Documents come cut from workers in their order; one that ends every worker fails, and none beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from asyncrun.aio.drawn_ahead import drawn_ahead
from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.chunkers.sentence_chunker import SentenceChunker
from asyncrun.chunkers.worker_chunker import ChunkerPart, chunker_part
from asyncrun.errors import AsyncrunError, Place, TryLaterError, UsageError, WorkerLostError
from asyncrun.executors.worker import Raised, Worker
from asyncrun.jobs.ingest.documents import CutDocument, Document, cut_here
from asyncrun.jobs.ingest.worker_cutting import cut_by_workers
from asyncrun.ports import WorkerAnswer, WorkerPart
from asyncrun.records import Item

OPTIONS = ChunkOptions(64, 16)
SENTENCES = "One is. Two is. Three are. " * 20


@dataclass(eq=False)
class OneWorker:
    """An executor with one worker in this loop, which is lost, with all that is in it, whenever `deadly` says so of a text."""

    deadly: Callable[[str], bool] = lambda text: False
    workers: int = 1
    calls: int = 0
    most: int = 0
    lost: int = 0
    _worker: Worker = field(default_factory=Worker)
    _in_flight: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def slots(self) -> int:
        return 16

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        self.calls += 1
        died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight.add(died)
        self.most = max(self.most, len(self._in_flight))
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            if not died.done() and any(map(self.deadly, arguments[0])):
                self.lost += 1
                for each in self._in_flight:
                    each.done() or each.set_result(None)
            if died.done():
                raise WorkerLostError("worker here pid 7 was lost: killed by SIGSEGV")
            answer = await self._worker.call(part, method, arguments)
        finally:
            self._in_flight.discard(died)
        if isinstance(answer, Raised):
            raise answer.error
        return WorkerAnswer(answer.value, "here pid 7")

    async def aclose(self) -> None:
        await self._worker.aclose()


def documents(*texts: str) -> list[Document]:
    return [(Item(str(number), text, Place(f"{number}.txt")), f"mark {number}") for number, text in enumerate(texts)]


def part(by: str = "sentence") -> ChunkerPart:
    made = chunker_part(by, OPTIONS, ByteTokenizer())
    assert made is not None
    return made


def cut(
    given: Iterable[Document], executor: OneWorker, stopped: Callable[[], AsyncrunError | None] = lambda: None, by: str = "sentence"
) -> list[CutDocument]:
    async def main() -> list[CutDocument]:
        async with aclosing(executor), aclosing(drawn_ahead(cut_by_workers(given, executor, part(by), stopped))) as found:
            return [document async for document in found]

    return asyncio.run(main())


def test_documents_are_cut_as_they_are_here_and_come_in_their_order() -> None:
    given = documents(*(f"{number}. One is. \f Two is." for number in range(1000)), SENTENCES * 600, "", " ", SENTENCES)
    executor = OneWorker()
    assert cut(given, executor) == list(cut_here(given, SentenceChunker(ByteTokenizer(), OPTIONS)))
    assert 2 < executor.calls < 6


def test_no_more_is_read_ahead_than_some_groups() -> None:
    read = 0

    def endless() -> Iterator[Document]:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield Item(str(number), "x" * 100_000, Place("x")), "mark"

    async def main() -> int:
        executor = OneWorker()
        async with aclosing(executor), aclosing(drawn_ahead(cut_by_workers(endless(), executor, part("none"), lambda: None))) as found:
            async for _ in found:
                return read
        return 0

    assert asyncio.run(main()) <= 16


def test_a_worker_that_is_lost_once_costs_a_second_try() -> None:
    left = [None]
    executor = OneWorker(deadly=lambda text: bool(left) and left.pop() is None)
    given = documents(SENTENCES, SENTENCES)
    assert cut(given, executor) == list(cut_here(given, SentenceChunker(ByteTokenizer(), OPTIONS)))
    assert (executor.lost, executor.calls) == (1, 2)


def test_a_document_that_ends_every_worker_is_one_failed_item() -> None:
    given = documents(*(f"{number}. One is." for number in range(1200)), "poison", *("Two is." for _ in range(1200)))
    executor = OneWorker(deadly=lambda text: text.startswith("poison"), workers=4)
    found = cut(given, executor)
    [failed] = [document for document in found if document.failure is not None]
    assert failed.failure is not None
    assert (failed.item.id, failed.chunks, failed.failure.reason) == ("1200", (), "worker_lost")
    assert failed.failure.message == "a worker was lost each time it was cut: worker here pid 7 was lost: killed by SIGSEGV"
    assert [document.item.id for document in found] == [item.id for item, _ in given]
    assert executor.lost == 4
    assert executor.most > 1


def test_of_many_such_documents_each_is_one_failed_item() -> None:
    given = documents(*("poison" if number % 700 == 5 else "One is." for number in range(3500)))
    executor = OneWorker(deadly=lambda text: text.startswith("poison"), workers=4)
    failed = [document.item.id for document in cut(given, executor) if document.failure is not None]
    assert failed == ["5", "705", "1405", "2105", "2805"]


def test_what_a_chunker_raises_ends_the_job() -> None:
    with pytest.raises(UsageError, match="no chunker"):
        cut(documents("One is."), OneWorker(), by="nobody's")


class Frozen(OneWorker):
    """An executor whose worker never answers."""

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        return await asyncio.get_running_loop().create_future()


def test_a_run_that_must_end_does_not_wait_for_a_frozen_worker() -> None:
    with pytest.raises(TryLaterError, match="stopped early"):
        cut(documents(SENTENCES), Frozen(), lambda: TryLaterError("stopped early: max_runtime is over"))
