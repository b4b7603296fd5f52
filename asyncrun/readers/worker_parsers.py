"""Documents parsed on the workers of an executor: their bytes go there, where a child of the worker parses them within the usual limits."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from asyncrun.aio.thread_calls import result_of
from asyncrun.errors import ItemError, Place, Reason, StorageError, TryLaterError, UsageError, WorkerLostError, os_words
from asyncrun.ports import Executor
from asyncrun.readers.byte_lines import document
from asyncrun.readers.interface import BadRecord, Record, Stopped
from asyncrun.readers.parse_child import LARGEST, too_large
from asyncrun.readers.parse_pool import ParseLimits, ParserPool
from asyncrun.registry import BUILT_IN, missing_extra

AHEAD = 4
"""Files of each worker that are on their way or wait to be taken: so many are in memory at once."""
TRIES = 2
"""Workers that a file may have; who loses both is a bad record."""


@dataclass(frozen=True, slots=True)
class ParserPart:
    """What parses in a worker: `size` files at once, each in a process that can be ended."""

    size: int = 1
    limits: ParseLimits = field(default_factory=ParseLimits)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WorkerParser]:
        """Open it in a worker; at the end no process and no file of it is left."""
        with TemporaryDirectory(prefix="asyncrun-") as folder, ParserPool(self.size, self.limits) as pool:
            parser = WorkerParser(pool, Path(folder))
            try:
                yield parser
            finally:
                parser.closed = True


@dataclass(slots=True, eq=False)
class WorkerParser:
    """A pool of parsers in a worker, and the folder of files that were sent."""

    pool: ParserPool
    folder: Path
    closed: bool = False
    _numbers: Iterator[int] = field(default_factory=count)
    _known: set[str] = field(default_factory=set)

    async def parse(self, parser: str, shown: str, data: bytes) -> Record | BadRecord:
        """Return the record of a file, given its bytes.

        Raises StorageError when no file can be read now, as on a full disk, and UsageError when this node has not what the parser needs.
        """
        if parser not in self._known:
            _check_is_here(parser, shown)
            self._known.add(parser)
        return await asyncio.to_thread(self._parse, self.folder / str(next(self._numbers)), parser, shown, data)

    def _parse(self, path: Path, parser: str, shown: str, data: bytes) -> Record | BadRecord:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise StorageError(f"a worker cannot keep it while it is parsed: {os_words(error)}", place=Place(shown)) from error
        try:
            return self.pool.take(self.pool.begin(parser, path, shown), self._stopped)
        finally:
            path.unlink()

    def _stopped(self) -> TryLaterError | None:
        return TryLaterError("the parsers of a worker are closed") if self.closed else None


def _check_is_here(parser: str, shown: str) -> None:
    """Raise UsageError for a parser of an extra or a plugin that this node lacks: no file is to blame for that."""
    module = parser.partition(":")[0]
    names = [name for name, part in BUILT_IN["readers"].items() if part.target.partition(":")[0] == module]
    lacking = next(filter(None, (missing_extra("readers", name) for name in names)), None)
    if lacking is not None:
        raise UsageError(
            f"node {platform.node()} cannot parse {shown}: {lacking.message}",
            hint="Install asyncrun on every node with the extras that the jobs need.",
        )
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # not even the package that it is in
        found = None
    if found is None:
        raise UsageError(
            f"node {platform.node()} cannot parse {shown}: it has no module {module!r}",
            hint="Install the plugins that the jobs need on every node.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class WorkerParsers:
    """Parses files on the workers of an executor, which is used in `loop`; files are read here, since a node may not have them."""

    executor: Executor
    loop: asyncio.AbstractEventLoop
    part: ParserPart = field(default_factory=ParserPart)

    @contextmanager
    def opened(self) -> Iterator[SentFiles]:
        """Give what parses the files of one pass; at the end nothing of it is under way."""
        sent = SentFiles(self)
        try:
            yield sent
        finally:
            sent.cancel()


class SentFiles:
    """The files of one pass on their way, begun and taken by a thread in one order; see `parse_pool.ParserPool`."""

    ahead = 1024
    """Files that are begun and not taken, at most; few of them are read."""

    def __init__(self, parsers: WorkerParsers) -> None:
        self._parsers = parsers
        self._places = AHEAD * parsers.executor.workers
        self._room = asyncio.Semaphore(self._places)
        self._under_way: set[Future[Record | BadRecord]] = set()

    def begin(self, parser: str, path: Path, shown: str) -> Future[Record | BadRecord]:
        """Have a file parsed; `parser` is a `ParsedReader.target`."""
        parsing = asyncio.run_coroutine_threadsafe(self._parse(parser, path, shown), self._parsers.loop)
        self._under_way.add(parsing)
        return parsing

    def take(self, parsing: Future[Record | BadRecord], stopped: Stopped = lambda: None) -> Record | BadRecord:
        """Wait for a file's record, in the order in which they were begun. Blocks.

        Raises what `stopped` returns meanwhile, StorageError when no file can be read now, TryLaterError where there is no worker.
        """
        record = result_of(parsing, stopped)
        self._under_way.discard(parsing)
        self._parsers.loop.call_soon_threadsafe(self._make_room)
        return record

    def cancel(self) -> None:
        """Give up what is under way."""
        for parsing in self._under_way:
            parsing.cancel()

    def _make_room(self) -> None:
        """Let the next file be read, and more where it is known by now that there are more workers."""
        more = max(AHEAD * self._parsers.executor.workers - self._places, 0)
        self._places += more
        for _ in range(1 + more):
            self._room.release()

    async def _parse(self, parser: str, path: Path, shown: str) -> Record | BadRecord:
        # Room is given in the order of asking, and given back with the record: the file that is waited for has it.
        await self._room.acquire()
        try:
            data = await asyncio.to_thread(document, path, str(path), at_most=LARGEST)
        except ItemError as error:
            return BadRecord(Place(shown), error.reason, error.message)
        if data is None:
            return BadRecord(Place(shown), Reason.BAD_RECORD, too_large())
        return await self._tried(parser, shown, data)

    async def _tried(self, parser: str, shown: str, data: bytes) -> Record | BadRecord:
        lost: WorkerLostError | None = None
        for _ in range(TRIES):
            try:
                found: Record | BadRecord = (await self._parsers.executor.run(self._parsers.part, "parse", parser, shown, data)).value
            except WorkerLostError as error:
                lost = error
            else:
                return found
        return BadRecord(Place(shown), Reason.WORKER_LOST, f"a worker was lost each time it was parsed: {lost and lost.message}")
