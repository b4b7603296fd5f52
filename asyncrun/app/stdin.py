"""Standard input as a file, since an input is passed over more than once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import StorageError, os_words
from asyncrun.paths import write_private

PREFIX = "stdin."


@contextmanager
def spooled_stdin(state: Path, *, wanted: bool) -> Iterator[Path | None]:
    """Copy standard input into the state folder for as long as the block runs, if it is wanted. Raises StorageError.

    The file is named by this process, so that runs side by side keep apart, and is private. One that a killed run has left is removed.
    """
    for old in state.glob(f"{PREFIX}*"):
        if not _is_alive(old.name.removeprefix(PREFIX)):
            old.unlink(missing_ok=True)
    if not wanted:
        yield None
        return
    spool = state / f"{PREFIX}{os.getpid()}"
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
