"""The reader port: a file in, its records out, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from asyncrun.errors import Place


class Record(NamedTuple):
    """One record of a file: its fields, and where it begins.

    Row formats (lines, jsonl, csv, tsv, parquet) give a record a line; document formats one a file, with the text under the field `text`.
    """

    fields: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read: it is named, by its id where `fields` hold what could be read of it, and set aside."""

    place: Place
    reason: str
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class Reader(Protocol):
    """Streams the records of one file.

    A bad record is yielded, not raised. A file that cannot be read to its end raises StorageError.
    `shown` is the path as the user knows it; it stands in every place.
    """

    def __call__(self, path: Path, shown: str) -> Iterator[Record | BadRecord]:
        """Yield the records in the order of the file."""
