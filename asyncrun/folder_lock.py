"""Taking turns: whoever reads what several processes change, and then writes it anew, holds a folder meanwhile."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from asyncrun.errors import TryLaterError

LOCK_TIMEOUT = 30.0
"""Seconds until whoever holds a folder is no longer waited for."""
_PAUSE = 0.01


@contextmanager
def hold_folder(folder: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold a folder for as long as the block runs, once nobody else holds it. Blocks. Raises TryLaterError after `timeout` seconds.

    The kernel lets go of it when the process ends. A folder that is not there, or that cannot be held, as on NFS, is not waited for.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            _hold(descriptor, folder, timeout)
        yield


def _hold(descriptor: int, folder: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise TryLaterError(f"another process holds the folder {folder}", hint="Run the same command again later.") from None
            time.sleep(_PAUSE)
