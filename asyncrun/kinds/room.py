"""Whether a job's vectors and its output fit on the disk, before the first call."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from asyncrun.errors import StorageError

FreeSpace = Callable[[Path], int]
"""Says how many bytes are free in a folder."""
VECTOR_EXTRA = 17
"""Bytes of the ledger for a vector besides its numbers: key and flag."""
NUMBER_BYTES = {"jsonl": 12, "csv": 12}
"""Bytes of one number of a vector in a format that writes digits: float32 needs nine of them, a sign, a point and a comma."""
ROW_EXTRA = 60


def free_space(folder: Path) -> int:
    """Return how many bytes are free for this user in a folder, or where it will be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def ledger_bytes(vectors: int, dimensions: int) -> int:
    """Return what so many vectors take in the ledger.

    >>> ledger_bytes(1_000_000, 384)
    1553000000
    """
    return vectors * (dimensions * 4 + VECTOR_EXTRA)


def output_bytes(rows: int, dimensions: int, text: int, form: str) -> int:
    """Return about what rows with vectors and `text` bytes of text in all take in a format."""
    return rows * (dimensions * NUMBER_BYTES.get(form, 4) + ROW_EXTRA) + text


def check_room(needs: Mapping[Path, int], free: FreeSpace) -> None:
    """Find out whether what is needed in each folder fits on its disk. Blocks. Raises StorageError."""
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
                f"about {size / 1e6:,.1f} MB are needed in {folders[disk]}, {left / 1e6:,.1f} MB are free; nothing was sent",
                hint="Free the disk, or move the output or the state (--state-dir) to another one.",
            )


def _disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev
