"""Records that come from elsewhere than files: loaded once into a temporary file, so that every pass sees the same."""

from __future__ import annotations

import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import orjson

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.readers.interface import BadRecord, Record


class LoadedRecords(ABC):
    """Records loaded at the first pass, however many there are; `name` stands for a file in their places."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loading = threading.Lock()
        self._spool: tempfile.TemporaryDirectory[str] | None = None

    @abstractmethod
    def _lines(self) -> Iterator[bytes]:
        """Yield a record a line as JSON: its fields, and why it is set aside (a reason and a sentence) or null."""

    def load(self) -> None:
        """Have everything loaded, if it is not yet. Blocks. Raises UsageError for what cannot be asked, StorageError for what fails."""
        with self._loading:
            if self._spool is None:
                spool = tempfile.TemporaryDirectory(prefix="asyncrun-")
                try:
                    self._fill(Path(spool.name) / "records")
                except BaseException:
                    spool.cleanup()
                    raise
                self._spool = spool

    def records(self) -> Iterator[Record | BadRecord]:
        """Yield the records in the order in which they came; what was loaded is read anew at every call."""
        self.load()
        if self._spool is None:
            return
        with (Path(self._spool.name) / "records").open("rb") as file:
            for number, line in enumerate(file, 1):
                fields, problem = orjson.loads(line)
                place = Place(self.name, number)
                yield Record(fields, place) if problem is None else BadRecord(place, problem[0], problem[1], fields)

    def close(self) -> None:
        """Remove what was loaded; may be called twice."""
        with self._loading:
            if self._spool is not None:
                self._spool.cleanup()
                self._spool = None

    def _fill(self, path: Path) -> None:
        with path.open("wb") as file:
            for line in self._lines():
                try:
                    file.write(line + b"\n")
                except OSError as error:
                    raise StorageError(f"cannot keep what {self.name} loads in {path}: {os_words(error)}") from error
