"""The state folder of a run: entered with others, over a ledger that is repaired first, or alone; standard input is kept there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun.clock import SystemClock
from asyncrun.errors import LockedError, StorageError, os_words
from asyncrun.ledger.repair import repair_ledger
from asyncrun.process_locks import hold_folder, hold_run_lock
from asyncrun.sqlite_files import check_filesystem, filesystem_of
from asyncrun.state_folder import LEDGER, lock_file, open_state_folder, state_folder, write_private

if TYPE_CHECKING:
    from asyncrun.grammar.shard import Shard

_SPOOL = "stdin."


@contextmanager
def enter_state_folder(state: Path, job_file: Path, shard: Shard | None = None) -> Iterator[str | None]:
    """Hold the lock of a job file for as long as the block runs, over a ledger that can be read; gives what was repaired, None for nothing.

    One enters at a time: of two that find the ledger damaged, neither has the lock that the other must have to repair it. Blocks while it
    repairs, and waits for nobody. A ledger on a network file system is refused. Shards of a job file run beside each other, each once, and
    not beside a run of the whole.

    Raises TryLaterError when another process is entering or cleaning, LockedError when another run of the job file is going on, or the
    ledger is damaged and a run of another job file uses it, StorageError, and DamagedStateError for a ledger of a newer version.
    """
    with ExitStack() as stack:
        with hold_folder(state, timeout=0):
            now, whole = SystemClock().now(), lock_file(state, job_file)
            stack.enter_context(hold_run_lock(whole, now, shared=shard is not None))
            own = whole
            if shard is not None:
                own = lock_file(state, job_file, shard.suffix)
                stack.enter_context(hold_run_lock(own, now, of=f"the shard {shard} of this job file"))
            repaired = _repair(state, {own, whole})
        yield repaired


@contextmanager
def enter_as_run(job_file: Path | None, state_dir: Path | None) -> Iterator[None]:
    """Hold the lock of a job file as its runs do, for a command that changes what they fill; None: there are no runs. Blocks.

    Raises as `enter_state_folder`.
    """
    with ExitStack() as stack:
        if job_file is not None:
            stack.enter_context(enter_state_folder(open_state_folder(state_folder(job_file, state_dir)), job_file))
        yield


@contextmanager
def enter_alone(state: Path, job_file: Path) -> Iterator[None]:
    """Hold the lock of every job file that has run in a state folder, and have those that begin meanwhile wait. Blocks.

    Raises TryLaterError, LockedError among it, when somebody else is there.
    """
    own = lock_file(state, job_file)
    with hold_folder(state), hold_run_lock(own, SystemClock().now()), _others({own}):
        yield


def _repair(state: Path, own: Collection[Path]) -> str | None:
    check_filesystem(state, filesystem_of(state))
    with ExitStack() as stack:

        def alone() -> None:
            try:
                stack.enter_context(_others(own))
            except LockedError as error:
                raise LockedError(f"the ledger is damaged, and to mend it nobody else may use it: {error.message}") from error

        repaired = repair_ledger(state / LEDGER, alone)
    return None if repaired is None else str(repaired)


@contextmanager
def _others(own: Collection[Path]) -> Iterator[None]:
    """Hold the locks of all others that have run in a state folder. Raises LockedError."""
    with ExitStack() as stack:
        for path in sorted(path for folder in {path.parent for path in own} for path in folder.glob("*.lock")):
            if path not in own:
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
