"""The state folder of a run: entered with others, over a ledger that is repaired first, or alone; standard input is kept there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncrun.clock import SystemClock
from asyncrun.errors import LockedError, StorageError, os_words
from asyncrun.ledger.repair import repair_ledger
from asyncrun.process_locks import hold_folder, hold_run_lock
from asyncrun.sqlite_files import check_filesystem, filesystem_of
from asyncrun.state_folder import LEDGER, lock_file, write_private

_SPOOL = "stdin."


@contextmanager
def enter_state_folder(state: Path, job_file: Path) -> Iterator[str | None]:
    """Hold the lock of a job file for as long as the block runs, over a ledger that can be read; gives what was repaired, None for nothing.

    One enters at a time: of two that find the ledger damaged, neither has the lock that the other must have to repair it. Blocks while it
    repairs, and waits for nobody. A ledger on a network file system is refused.

    Raises TryLaterError when another process is entering or cleaning, LockedError when another run of the job file is going on, or the
    ledger is damaged and a run of another job file uses it, StorageError, and DamagedStateError for a ledger of a newer version.
    """
    with ExitStack() as stack:
        with hold_folder(state, timeout=0):
            stack.enter_context(hold_run_lock(lock_file(state, job_file), SystemClock().now()))
            repaired = _repair(state, job_file)
        yield repaired


@contextmanager
def enter_alone(state: Path, job_file: Path) -> Iterator[None]:
    """Hold the lock of every job file that has run in a state folder, and have those that begin meanwhile wait. Blocks.

    Raises TryLaterError, LockedError among it, when somebody else is there.
    """
    now = SystemClock().now()
    with hold_folder(state), hold_run_lock(lock_file(state, job_file), now), _others(state, job_file):
        yield


def _repair(state: Path, job_file: Path) -> str | None:
    check_filesystem(state, filesystem_of(state))
    with ExitStack() as stack:

        def alone() -> None:
            try:
                stack.enter_context(_others(state, job_file))
            except LockedError as error:
                raise LockedError(f"the ledger is damaged, and to mend it nobody else may use it: {error.message}") from error

        repaired = repair_ledger(state / LEDGER, alone)
    return None if repaired is None else str(repaired)


@contextmanager
def _others(state: Path, job_file: Path) -> Iterator[None]:
    """Hold the locks of all other job files that have run in a state folder. Raises LockedError."""
    own = lock_file(state, job_file)
    with ExitStack() as stack:
        for path in sorted(own.parent.glob("*.lock")):
            if path != own:
                stack.enter_context(hold_run_lock(path, SystemClock().now(), of=path.stem))
        yield


@contextmanager
def spooled_stdin(state: Path, *, wanted: bool) -> Iterator[Path | None]:
    """Copy standard input into the state folder for as long as the block runs, if it is wanted. Raises StorageError.

    The file is named by this process, so that runs side by side keep apart, and is private. One that a killed run has left is removed.
    """
    for old in state.glob(f"{_SPOOL}*"):
        if not _is_alive(old.name.removeprefix(_SPOOL)):
            old.unlink(missing_ok=True)
    if not wanted:
        yield None
        return
    spool = state / f"{_SPOOL}{os.getpid()}"
    try:
        try:
            spool.unlink(missing_ok=True)
            write_private(spool, b"")
            with spool.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        except OSError as error:
            raise StorageError(f"cannot keep standard input in {spool}: {os_words(error)}") from error
        yield spool
    finally:
        spool.unlink(missing_ok=True)


def _is_alive(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # another user's
    return True
