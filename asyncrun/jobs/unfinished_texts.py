"""What a run is to send, kept from the pass that found it: the input is read once, and what is sent is what was hashed."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import Item, Pending

if TYPE_CHECKING:
    from numpy.typing import NDArray

R = TypeVar("R")
IN_MEMORY = 8_000_000
"""Bytes of a spool in memory; a longer one is a file."""
ADDED_AT_ONCE = 256
"""Records of many that are written, and read, together."""
LOOKED_UP_AT_ONCE = 1024
"""Texts that are looked up in the ledger's index together, if they are short."""
HELD_AT_ONCE = 1_000_000
"""Bytes of texts that wait to be looked up."""


class Spool(Generic[R]):
    """Records in the order in which they came: in memory while they are few, then in a file of a folder, which goes with the process.

    The space that it takes on a disk is no longer free when a run asks whether its vectors and its output fit.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_use = threading.Lock()
        self._file = SpooledTemporaryFile(IN_MEMORY, dir=str(folder))  # noqa: SIM115 (closed by `close`)

    def close(self) -> None:
        """Give up what it holds. Blocks."""
        with self._in_use, suppress(OSError):  # of a full disk, which was told when it was written to
            self._file.close()

    def add(self, records: Sequence[R]) -> None:
        """Add records, which are read together. Blocks. Raises StorageError."""
        try:
            with self._in_use:
                pickle.dump(records, self._file)
        except OSError as error:
            raise self._unusable(error) from error

    def add_all(self, records: Iterable[R]) -> None:
        """Add records as they come, however many. Blocks. Raises StorageError."""
        coming = iter(records)
        while some := list(islice(coming, ADDED_AT_ONCE)):
            self.add(some)

    def __iter__(self) -> Iterator[R]:
        """Yield all records from the first on. Blocks. Raises StorageError.

        Each pass has a place of its own: where a job is cancelled, the thread that reads goes on while its failures are looked up.
        """
        place = 0
        try:
            while True:
                with self._in_use:
                    self._file.seek(place)
                    records = pickle.load(self._file)  # noqa: S301 (its file has no name: no other process can write it)
                    place = self._file.tell()
                yield from records
        except EOFError:
            return
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(
            f"what is to be sent cannot be kept in {self._folder}: {os_words(error)}",
            hint="Free the disk, or move the state (--state-dir) to another one.",
        )


class UnfinishedText(NamedTuple):
    """The text of an item that is not finished; `ordinal` is the item's place in the input, `size` the UTF-8 bytes as sent."""

    ordinal: int
    key: bytes
    size: int
    text: str
    id: str
    place: Place


class UnfinishedTexts:
    """The texts of those items of an input that are not in an index, in input order."""

    def __init__(self, spool: Spool[UnfinishedText], index: KeyIndex) -> None:
        self.index = index
        self._spool = spool
        self._waiting: list[tuple[int, bytes, int, Item]] = []
        self._held = 0

    def add(self, ordinal: int, key: bytes, size: int, item: Item) -> None:
        """Add the text of an item unless it is finished. Blocks. Raises StorageError."""
        self._waiting.append((ordinal, key, size, item))
        self._held += size
        if len(self._waiting) >= LOOKED_UP_AT_ONCE or self._held >= HELD_AT_ONCE:
            self._look_up()

    def __iter__(self) -> Iterator[UnfinishedText]:
        """Yield them; nothing is added any more. Blocks. Raises StorageError."""
        self._look_up()
        return iter(self._spool)

    def pending(self, send: NDArray[np.bool_]) -> Iterator[Pending]:
        """Yield the texts of these items. Blocks. Raises StorageError."""
        return (Pending(text.key, text.text, text.size, text.ordinal) for text in self if send[text.ordinal])

    def _look_up(self) -> None:
        missing = np.flatnonzero(self.index.find(keys_array(b"".join([key for _, key, _, _ in self._waiting]))) < 0)
        texts = [self._waiting[row] for row in missing.tolist()]
        if texts:
            self._spool.add([UnfinishedText(ordinal, key, size, item.text, item.id, item.place) for ordinal, key, size, item in texts])
        self._waiting, self._held = [], 0
