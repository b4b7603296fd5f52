"""Standard output in the place of a file."""

from __future__ import annotations

from typing import BinaryIO

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.streams import is_gone, silence


class StdoutFile:
    """Bytes onto a binary stream as they come, with the calls of an `AtomicFile`; what is written cannot be taken back.

    When the other end has closed the pipe (as `head` does), the rest is dropped in silence: nobody waits for it.

    Raises StorageError when writing fails.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._open = True

    def write(self, data: bytes) -> int:
        """Add bytes."""
        if self._open:
            try:
                self._stream.write(data)
            except OSError as error:
                self._fail(error)
        return len(data)

    def commit(self) -> None:
        """Hand what is buffered to the other end."""
        if self._open:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def abort(self) -> None:
        """Write no more."""
        self._open = False

    def _fail(self, error: OSError) -> None:
        gone, self._open = is_gone(self._stream, error), False
        silence(self._stream)
        if not gone:
            raise StorageError(f"cannot be written: {os_words(error)}", place=Place("standard output")) from error
