"""One run per job file: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from asyncrun.errors import LockedError, StorageError, os_words


@contextmanager
def hold_lock(path: Path, started: float, of: str = "this job file") -> Iterator[None]:
    """Hold the lock file at `path`, that of a job file. Raises LockedError, which names the holder, when another process has it.

    `flock` is released by the kernel when the process ends, even by SIGKILL, so a dead holder never blocks.
    The file itself stays: to delete it would let two processes lock two files of one name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        hint = "Make the state folder writable, or choose another one with --state-dir."
        raise StorageError(f"cannot open the lock {path}: {os_words(error)}", hint=hint) from error
    try:
        _take(descriptor, path, started, of)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, started: float, of: str) -> None:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
    }
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except BlockingIOError:
        raise LockedError(f"another run of {of} is going on ({_holder(descriptor)})") from None
    except OSError as error:
        hint = "Make room on the disk, or choose another folder with --state-dir."
        raise StorageError(f"cannot take the lock {path}: {os_words(error)}", hint=hint) from error


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {holder['pid']} on {holder['host']}, since {holder['started']}"
    except (ValueError, KeyError, TypeError):
        return "its process has not written its name yet"
