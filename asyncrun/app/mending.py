"""Mending a damaged ledger before it is used, while nobody else does."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from asyncrun.clock import SystemClock
from asyncrun.errors import LockedError
from asyncrun.ledger.filesystem import check_filesystem, filesystem_of
from asyncrun.ledger.lock import hold_lock
from asyncrun.ledger.salvage import mend
from asyncrun.paths import LEDGER, lock_file


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
