"""Streams that nobody reads any more: how they are known, and pointed at nothing."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import IO, Any


def is_gone(stream: IO[Any], error: Exception) -> bool:
    """Return whether a write has failed because nobody reads: the other end of a pipe, or the window of a terminal, was closed.

    A closed terminal is one no more (`isatty`), but still a device; a file that says EIO is on a broken disk.
    """
    if isinstance(error, BrokenPipeError):
        return True
    try:
        return isinstance(error, OSError) and error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def silence(stream: IO[Any]) -> None:
    """Let what a stream still holds, and all that it is given, go nowhere; one that is closed, or no file, stays as it is.

    What is buffered would fail again when the interpreter ends, with exit code 120 (Python's documentation, signal, "Note on SIGPIPE").
    """
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, descriptor)
        finally:
            os.close(nowhere)
