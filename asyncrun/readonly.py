"""Where nothing can be written, as on a read-only mount: SQLite files are looked at all the same, and who must write hears of it first."""

from __future__ import annotations

import os
from pathlib import Path

from asyncrun.errors import StorageError

LOG_ENDINGS = ("-wal", "-shm")
"""What the names of the files end in that stand beside a database with a write-ahead log: the log, and its index."""


def can_write(path: Path) -> bool:
    """Tell whether a file can be written or made, and another one beside it, as SQLite does."""
    if path.exists():
        return _may_write(path) and _may_write(path.parent)
    return _may_write(next(folder for folder in path.absolute().parents if folder.exists()))


def check_writable(path: Path) -> None:
    """Raise StorageError for a file that cannot be written or made."""
    if not can_write(path):
        raise StorageError(f"{path} cannot be written", hint="Make the file and its folder writable, or choose another path.")


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def address_to_look(path: Path) -> str:
    """Return the URI by which SQLite reads a file in WAL mode whose folder cannot be written. Raises StorageError when none would do.

    SQLite reads the log only with the index of the log beside it. Without a log the file is whole by itself, but SQLite must be told
    that nobody changes it, because it cannot make the index.
    """
    log, index = (path.with_name(path.name + ending) for ending in LOG_ENDINGS)
    if log.exists() and index.exists():
        return f"{path.absolute().as_uri()}?mode=ro"
    if log.exists() and log.stat().st_size > 0:
        raise StorageError(
            f"a run that was killed has left {log}, which can only be read where its folder can be written", hint=copy_hint(path)
        )
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def copy_hint(path: Path) -> str:
    """Return what to do with a file that must be written to be read."""
    return f"Make {path.parent} writable, or copy the job file's folder to a place that is, and look there."
