"""Locks between processes: one run per job file, and a folder that is held while what it has is read and written anew.

The kernel releases them when their process ends, even by SIGKILL, so a dead holder never blocks.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from asyncrun.errors import LockedError, StorageError, TryLaterError, os_words

LOCK_TIMEOUT = 30.0
"""Seconds until whoever holds a folder is no longer waited for."""
_PAUSE = 0.01


@contextmanager
def hold_folder(folder: Path, timeout: float = LOCK_TIMEOUT, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder for as long as the block runs, once nobody else holds it. Blocks. Raises TryLaterError after `timeout` seconds.

    Any number may hold it `shared` at once, while nobody holds it alone. A folder that is not there, or that cannot be held, as on NFS,
    is not waited for.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            _hold(descriptor, folder, timeout, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def _hold(descriptor: int, folder: Path, timeout: float, operation: int) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise TryLaterError(f"another process holds the folder {folder}", hint="Run the same command again later.") from None
            time.sleep(_PAUSE)


@contextmanager
def hold_run_lock(path: Path, started: float, of: str = "this job file", *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file at `path`, that of a job file. Raises LockedError, which names the holder, when another process has it.

    Those that hold it `shared` keep out who wants it alone, and not each other. Of them the one that came last is named.

    The file itself stays: to delete it would let two processes lock two files of one name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        hint = "Make the state folder writable, or choose another one with --state-dir."
        raise StorageError(f"cannot open the lock {path}: {os_words(error)}", hint=hint) from error
    try:
        _take(descriptor, path, started, of, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, started: float, of: str, how: int) -> None:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
    }
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
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
