"""Documents cut into chunks on the workers of an executor: in groups, a little ahead, and in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from asyncrun.aio.thread_calls import result_of
from asyncrun.chunkers.worker_chunker import ChunkerPart, unpack_chunks
from asyncrun.errors import AsyncrunError, Reason, WorkerLostError
from asyncrun.jobs.ingest.documents import CutDocument, Document
from asyncrun.ports import Executor
from asyncrun.records import ItemFailure

GROUP = 256 * 1024
"""Characters that a group has at least, if the input has: what is sent is then little beside the work."""
MOST_DOCUMENTS = 512
"""Documents of a group at most."""
AHEAD = 2
"""Groups of each worker that are on their way: one is worked on, one waits."""
TRIES_ALONE = 2
"""Workers that a text may have when no other one is cut: one of them may be lost to something else."""


def groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Put documents together that go to a worker at once; a long one is a group by itself, or the end of one."""
    group: list[Document] = []
    size = 0
    for document in documents:
        group.append(document)
        size += len(document[0].text)
        if size >= GROUP or len(group) >= MOST_DOCUMENTS:
            yield group
            group, size = [], 0
    if group:
        yield group


def cut_by_workers(
    documents: Iterable[Document], executor: Executor, part: ChunkerPart, stopped: Callable[[], AsyncrunError | None]
) -> Iterator[CutDocument]:
    """Return what cuts documents on workers, and gives the same as `cut_here`; it is called in the loop of the executor.

    What is returned blocks, and is used up in a thread. Memory is bounded by some groups. It raises what `stopped` returns meanwhile, what
    the chunker raises, and TryLaterError where there is no worker.
    """
    return _taken_in_order(documents, _WorkerCutter(executor, part), asyncio.get_running_loop(), stopped)


def _taken_in_order(
    documents: Iterable[Document], cutter: _WorkerCutter, loop: asyncio.AbstractEventLoop, stopped: Callable[[], AsyncrunError | None]
) -> Iterator[CutDocument]:
    begun: deque[tuple[list[Document], Future[list[_Cut]]]] = deque()
    try:
        for group in groups(documents):
            begun.append((group, asyncio.run_coroutine_threadsafe(cutter.cut([item.text for item, _ in group]), loop)))
            if len(begun) > AHEAD * cutter.executor.workers:
                yield from _take(*begun.popleft(), stopped)
        while begun:
            yield from _take(*begun.popleft(), stopped)
    finally:
        for _, future in begun:
            future.cancel()


def _take(group: list[Document], future: Future[list[_Cut]], stopped: Callable[[], AsyncrunError | None]) -> Iterator[CutDocument]:
    found = result_of(future, stopped)
    for (item, mark), cut in zip(group, found, strict=True):
        if isinstance(cut, str):
            yield CutDocument(item, mark, (), ItemFailure(item.id, item.place, Reason.WORKER_LOST, cut))
        else:
            yield CutDocument(item, mark, unpack_chunks(item.text, cut))


_Cut: TypeAlias = bytes | str
"""The packed chunks of a text, or the sentence about the worker that was lost with it."""


class _WorkerCutter:
    """Has texts cut by workers, and finds out which of them ends every worker that gets it.

    A group whose worker is lost goes again, and if that one is lost too, text by text, each twice. From the second time on it goes while
    no other group is: a text that ends its worker takes those along that are there with it, and they are not to be taken for it.
    """

    def __init__(self, executor: Executor, part: ChunkerPart) -> None:
        self.executor = executor
        self._part = part
        self._turn = asyncio.Lock()
        self._beside = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    async def cut(self, texts: Sequence[str]) -> list[_Cut]:
        """Return what each text is cut into. Raises what the chunker raises."""
        try:
            return await self._call_beside_others(texts)
        except WorkerLostError:
            pass
        async with self._turn:
            await self._nobody.wait()
            try:
                return await self._call(texts)
            except WorkerLostError:
                return [await self._alone(text) for text in texts]

    async def _call_beside_others(self, texts: Sequence[str]) -> list[_Cut]:
        async with self._turn:
            self._beside += 1
            self._nobody.clear()
        try:
            return await self._call(texts)
        finally:
            self._beside -= 1
            if not self._beside:
                self._nobody.set()

    async def _alone(self, text: str) -> _Cut:
        for _ in range(TRIES_ALONE):
            try:
                return (await self._call([text]))[0]
            except WorkerLostError as error:
                lost = error
        return f"a worker was lost each time it was cut: {lost.message}"

    async def _call(self, texts: Sequence[str]) -> list[_Cut]:
        found: list[_Cut] = (await self.executor.run(self._part, "cut", texts)).value
        return found
