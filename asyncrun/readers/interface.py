"""The reader port: a file in, its records out, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from asyncrun.errors import ItemError, Place


class Record(NamedTuple):
    """One record of a file: its fields, and where it begins.

    Row formats (lines, jsonl, csv, tsv, parquet) give a record a line; document formats one a file, with the text under the field `text`
    beside what the file says of itself. `remark` is what the user should know of how the file was read, after the words `3 files`: it is
    said once a run, with a count.
    """

    fields: Mapping[str, Any]
    place: Place
    remark: str = ""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read: it is named, by its id where `fields` hold what could be read of it, and set aside."""

    place: Place
    reason: str
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Stopped = Callable[[], Exception | None]
"""Returns the error of a run that must end now, None for one that goes on."""


class Reader(Protocol):
    """Streams the records of one file.

    A bad record is yielded, not raised, and so is a document that cannot be read (`unreadable`): the ones beside it are read. A file of
    rows that cannot be read to its end raises StorageError.
    `shown` is the path as the user knows it; it stands in every place.
    """

    def __call__(self, path: Path, shown: str) -> Iterator[Record | BadRecord]:
        """Yield the records in the order of the file."""


@dataclass(frozen=True, slots=True)
class ParsedReader:
    """The reader of a document format: one record a file, made by `parser`, a `module:function`, in a process that can be ended.

    The function takes the bytes of the file and returns the fields, see `parse_child.Parser`; one of a format in `ENCODED` takes the
    `encoding` as well, where it is stated.
    """

    parser: str
    encoding: str | None = None

    @property
    def target(self) -> str:
        """Return what a process is told to parse with."""
        return self.parser if self.encoding is None else f"{self.parser} {self.encoding}"

    def __call__(self, path: Path, shown: str) -> Iterator[Record | BadRecord]:
        """Yield the one record of the file. Raises StorageError when no file can be read now."""
        from asyncrun.readers.parse_pool import ParserPool

        with ParserPool(1) as pool:
            yield pool.take(pool.begin(self.target, path, shown))


def refused(why: str) -> ItemError:
    """Return the error by which a parser refuses a file; `why` is a sentence about it."""
    return ItemError(why, reason="bad_record")
