"""Where nothing can be written, such as on a read-only mount: SQLite files that are looked at all the same, and saying so before work begins."""

from __future__ import annotations

import os
from pathlib import Path

from asyncrun.errors import StorageError


def can_write(path: Path) -> bool:
    """Tell whether a file can be written or made, and another one beside it, as SQLite does."""
    if path.exists():
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return os.access(next(folder for folder in path.absolute().parents if folder.exists()), os.W_OK)


def address_to_look(path: Path) -> str:
    """Return the URI by which SQLite reads a file in WAL mode whose folder cannot be written. Raises StorageError when none would do.

    SQLite reads the log only with the index of the log beside it. Without a log the file is whole by itself, but SQLite must be told
    that nobody changes it, because it cannot make the index.
    """
    log, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
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
