"""Whether a job's vectors and its output fit on the disk: before the first call, or as soon as the size of a vector is known."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from asyncrun.errors import StorageError

FreeSpace = Callable[[Path], int]
"""Says how many bytes are free in a folder."""
VECTOR_EXTRA = 17
"""Bytes of the ledger for a vector besides its numbers: key and flag."""
LOG_BYTES = 8_000_000
"""What the ledger's log may hold of the newest vectors until they stand in their place, too: a thousand pages of SQLite."""
NUMBER_BYTES = {"jsonl": 12, "csv": 12}
"""Bytes of one number of a vector in a format that writes digits: float32 needs nine of them, a sign, a point and a comma."""
ROW_EXTRA = 60
"""Bytes of a row beside its text and its numbers."""


def free_space(folder: Path) -> int:
    """Return how many bytes are free for this user in a folder, or where it will be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def ledger_bytes(vectors: int, dimensions: int) -> int:
    """Return what so many vectors take in the ledger and, while they are written, in its log.

    >>> ledger_bytes(1_000_000, 384), ledger_bytes(1000, 384)
    (1561000000, 3106000)
    """
    size = vectors * (dimensions * 4 + VECTOR_EXTRA)
    return size + min(size, LOG_BYTES)


def output_bytes(rows: int, dimensions: int, text: int, form: str) -> int:
    """Return about what rows with vectors and `text` bytes of text in all take in a format."""
    return rows * (dimensions * NUMBER_BYTES.get(form, 4) + ROW_EXTRA) + text


class DiskCheck:
    """Looks once whether a job fits; `error` is what ends it when a look after an answer has found that it does not.

    Args:
        needs: says how many bytes are needed in each folder, None as long as nobody knows how many numbers a vector has. Blocks.
        free: says how many are free. Blocks.
    """

    def __init__(self, needs: Callable[[], Mapping[Path, int] | None], free: FreeSpace) -> None:
        self._needs = needs
        self._free = free
        self._settled = False
        self.error: StorageError | None = None

    def check(self) -> None:
        """Look before the first call. Blocks. Raises StorageError."""
        self._look("nothing was sent")

    async def look(self) -> None:
        """Look after an answer, unless that has been done."""
        if self._settled:
            return
        self._settled = True  # for the answers that come meanwhile
        try:
            await asyncio.to_thread(self._look, "nothing more is sent")
        except StorageError as error:
            self.error = error

    def _look(self, then: str) -> None:
        needs = self._needs()
        self._settled = needs is not None
        check_disk_space(needs or {}, self._free, then)


def check_disk_space(needs: Mapping[Path, int], free: FreeSpace, then: str) -> None:
    """Find out whether what is needed in each folder fits on its disk; `then` ends the sentence. Blocks. Raises StorageError."""
    by_disk: Counter[int] = Counter()
    folders: dict[int, Path] = {}
    for folder, size in needs.items():
        disk = _disk(folder)
        by_disk[disk] += size
        folders.setdefault(disk, folder)
    for disk, size in by_disk.items():
        left = free(folders[disk])
        if size > left:
            raise StorageError(
                f"about {size / 1e6:,.1f} MB are needed in {folders[disk]}, {left / 1e6:,.1f} MB are free; {then}",
                hint="Free the disk, or move the output or the state (--state-dir) to another one.",
            )


def _disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev
