"""Entering a state folder: with others, over a ledger that is mended first if it is damaged, or alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncrun.clock import SystemClock
from asyncrun.errors import LockedError
from asyncrun.folder_lock import turn
from asyncrun.ledger.filesystem import check_filesystem, filesystem_of
from asyncrun.ledger.lock import hold_lock
from asyncrun.ledger.salvage import mend
from asyncrun.paths import LEDGER, lock_file


@contextmanager
def entered(state: Path, job_file: Path) -> Iterator[str | None]:
    """Hold the lock of a job file for as long as the block runs, over a ledger that can be read; gives what was mended, None for nothing.

    One enters at a time: of two that find the ledger damaged, neither has the lock that the other must have to mend it. Blocks while it
    mends, and waits for nobody. A ledger on a network file system is refused.

    Raises TryLaterError when another process is entering or cleaning, LockedError when another run of the job file is going on, or the
    ledger is damaged and a run of another job file uses it, StorageError, and DamagedStateError for a ledger of a newer version.
    """
    with ExitStack() as stack:
        with turn(state, patience=0):
            stack.enter_context(hold_lock(lock_file(state, job_file), SystemClock().now()))
            mended = _mend(state, job_file)
        yield mended


@contextmanager
def entered_alone(state: Path, job_file: Path) -> Iterator[None]:
    """Hold the lock of every job file that has run in a state folder, and have those that begin meanwhile wait. Blocks.

    Raises TryLaterError, LockedError among it, when somebody else is there.
    """
    now = SystemClock().now()
    with turn(state), hold_lock(lock_file(state, job_file), now), _others(state, job_file):
        yield


def _mend(state: Path, job_file: Path) -> str | None:
    check_filesystem(state, filesystem_of(state))
    with ExitStack() as stack:

        def alone() -> None:
            try:
                stack.enter_context(_others(state, job_file))
            except LockedError as error:
                raise LockedError(f"the ledger is damaged, and to mend it nobody else may use it: {error.message}") from error

        mended = mend(state / LEDGER, alone)
    return None if mended is None else str(mended)


@contextmanager
def _others(state: Path, job_file: Path) -> Iterator[None]:
    """Hold the locks of all other job files that have run in a state folder. Raises LockedError."""
    own = lock_file(state, job_file)
    with ExitStack() as stack:
        for path in sorted(own.parent.glob("*.lock")):
            if path != own:
                stack.enter_context(hold_lock(path, SystemClock().now(), of=path.stem))
        yield
