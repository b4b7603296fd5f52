"""The records of many files in their order: documents are parsed ahead, in processes here or on workers elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from asyncrun.errors import StorageError
from asyncrun.readers.input_files import InputFile
from asyncrun.readers.interface import BadRecord, ParsedReader, Reader, Record, Stopped
from asyncrun.readers.parse_pool import ParserPool
from asyncrun.usage import usable_processors

T = TypeVar("T")


class Parsers(Protocol):
    """Parses files in the order in which they are begun, some at once; `ahead` are begun and not taken, at most."""

    ahead: int

    def begin(self, parser: str, path: Path, shown: str) -> Any:
        """Have a file parsed; what is returned is for `take`."""

    def take(self, parsing: Any, stopped: Stopped = lambda: None) -> Record | BadRecord:
        """Wait for a file's record. Blocks."""


class ParserSource(Protocol):
    """Has parsers elsewhere."""

    def opened(self) -> AbstractContextManager[Parsers]:
        """Give parsers for one pass."""


def read_ahead(
    files: Sequence[InputFile], readers: Mapping[str, Reader], stopped: Stopped = lambda: None, parsers: ParserSource | None = None
) -> Iterator[tuple[InputFile, Record | BadRecord]]:
    """Yield the records of files in order, each with its file; `readers` are those of their formats.

    Those of a `ParsedReader` are parsed ahead, by `parsers` or in processes of this machine, all else is read here when its turn comes.
    Raises StorageError as the readers do, and what `stopped` returns while a file is waited for.
    """
    with ParserPool(usable_processors()) if parsers is None else parsers.opened() as pool:
        for file, records in begun_ahead(((file, _begun(pool, file, readers[file.format], stopped)) for file in files), pool.ahead):
            for record in records():
                yield file, record


def _begun(pool: Parsers, file: InputFile, reader: Reader, stopped: Stopped) -> Callable[[], Iterable[Record | BadRecord]]:
    if not isinstance(reader, ParsedReader):
        return partial(reader, file.path, file.shown)
    parsing = pool.begin(reader.target, file.path, file.shown)
    return lambda: [pool.take(parsing, stopped)]


def begun_ahead(begun: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield what is begun when it is asked for, so that `ahead` are at once; a StorageError comes after those that are begun before it."""
    waiting: deque[T] = deque()
    broken = None
    try:
        for each in begun:
            waiting.append(each)
            if len(waiting) == ahead:
                yield waiting.popleft()
    except StorageError as error:
        broken = error
    yield from waiting
    if broken is not None:
        raise broken
