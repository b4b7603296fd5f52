"""What LanceDB raises, as errors with one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from asyncrun.errors import AsyncrunError, StorageError, TryLaterError
from asyncrun.escape import printable

_WHERE = re.compile(r",? /\S+\.rs:\d+(:\d+)?")
"""The line of LanceDB's own code."""
_CONFLICT = re.compile(r"commit conflict|concurrent (writers|transaction)", re.IGNORECASE)


@contextmanager
def reporting(shown: str) -> Iterator[None]:
    """Raise what LanceDB raises about a store as StorageError, or TryLaterError where others have written at the same time."""
    try:
        yield
    except AsyncrunError:
        raise
    except Exception as error:  # It raises RuntimeError, OSError, ValueError and pyarrow's own, for the same thing at times.
        words = str(error)
        if _CONFLICT.search(words):
            raise TryLaterError(f"others write to the store {shown} all the time", hint="Run the same command again later.") from error
        if "os error 28" in words or "No space left" in words:
            raise StorageError(f"the disk of the store {shown} is full", hint="Make room on the disk.") from error
        if "os error 13" in words or "Permission denied" in words:
            raise StorageError(f"the store {shown} cannot be written: Permission denied", hint="Make the folder writable.") from error
        lines = _WHERE.sub("", words).splitlines() or [type(error).__name__]
        raise StorageError(f"the store {shown} failed: {printable(lines[0], 300)}") from error
