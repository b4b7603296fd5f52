"""Entering a state folder: the job file's lock, and a damaged ledger mended before it is used, while nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncrun.clock import SystemClock
from asyncrun.errors import LockedError
from asyncrun.ledger.filesystem import check_filesystem, filesystem_of
from asyncrun.ledger.lock import hold_lock
from asyncrun.ledger.salvage import mend
from asyncrun.paths import LEDGER, lock_file
from asyncrun.turns import turn


@contextmanager
def entered(state: Path, job_file: Path) -> Iterator[str | None]:
    """Hold the lock of a job file for as long as the block runs, over a ledger that can be read; gives what was mended. Blocks at first.

    One enters at a time: of two that find the ledger damaged, neither has the lock that the other must have to mend it.
    Raises as `mend_ledger`, and LockedError when another run of the job file is going on.
    """
    with ExitStack() as stack:
        with turn(state):
            stack.enter_context(hold_lock(lock_file(state, job_file), SystemClock().now()))
            mended = mend_ledger(state, job_file)
        yield mended


def mend_ledger(state: Path, job_file: Path) -> str | None:
    """Mend the ledger of a state folder if it cannot be read; the lock of `job_file` is held already. Blocks.

    A ledger on a network file system is refused.

    Returns what was done, None if nothing was. Raises LockedError when it is damaged and a run of another job file uses it,
    StorageError, and DamagedStateError for a ledger of a newer version.
    """
    check_filesystem(state, filesystem_of(state))
    own = lock_file(state, job_file)
    with ExitStack() as stack:

        def alone() -> None:
            for lock in sorted(own.parent.glob("*.lock")):
                if lock.name == own.name:
                    continue
                try:
                    stack.enter_context(hold_lock(lock, SystemClock().now()))
                except LockedError as error:
                    raise LockedError(f"the ledger is damaged, and to mend it nobody else may use it: {error.message}") from error

        mended = mend(state / LEDGER, alone)
    return None if mended is None else str(mended)
