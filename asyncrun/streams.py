"""Text streams whose reader may go away: how that is known, and how writing goes on into nothing instead of ending a run."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import IO, Any, TextIO

from asyncrun.errors import StorageError, os_words


def reader_is_gone(stream: IO[Any], error: Exception) -> bool:
    """Return whether a write has failed because nobody reads: the other end of a pipe, or the window of a terminal, was closed.

    A closed terminal is one no more (`isatty`), but still a device; a file that says EIO is on a broken disk.
    """
    if isinstance(error, BrokenPipeError):
        return True
    try:
        return isinstance(error, OSError) and error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def discard_output(stream: IO[Any]) -> None:
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


class OutputStream:
    """Writes to a stream until nobody reads it any more; from then on it is silent.

    With `answer=True` what is written is what the user asked for: a full disk raises StorageError once. Otherwise it is a courtesy, and any
    failure is silence. `errors` is what becomes of a character that the stream's encoding lacks, in Python's words; an ellipsis is a tilde.

    >>> import io
    >>> OutputStream(io.StringIO()).write("a line")
    6
    """

    def __init__(self, stream: TextIO, *, answer: bool = False, errors: str = "backslashreplace") -> None:
        self._stream = stream
        self._errors = errors
        self._answer = answer
        self._open = True

    @property
    def encoding(self) -> str:
        """Return the encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write a text and count its characters."""
        if self._open:
            try:
                try:
                    self._stream.write(text if text.isascii() or self._is_unicode else self._encodable(text))
                except UnicodeEncodeError:
                    self._stream.write(self._encodable(text))
            except (OSError, ValueError) as error:
                self._lost(error)
        return len(text)

    @property
    def _is_unicode(self) -> bool:
        return self.encoding.lower().replace("-", "").startswith("utf")

    def _encodable(self, text: str) -> str:
        if not self._is_unicode:
            text = text.replace("\u2026", "~")  # One column, as it was measured.
        return text.encode(self.encoding, self._errors).decode(self.encoding)

    def flush(self) -> None:
        """Hand over what is buffered."""
        if self._open:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lost(error)

    def line(self, text: str) -> None:
        """Write one line and hand it over at once."""
        self.write(text + "\n")
        self.flush()

    def _lost(self, error: OSError | ValueError) -> None:
        """Go silent. A ValueError is what Python raises for a stream that is closed."""
        self._open = False
        gone = reader_is_gone(self._stream, error)
        discard_output(self._stream)
        if self._answer and isinstance(error, OSError) and not gone:
            raise StorageError(f"cannot write to standard output: {os_words(error)}") from error
