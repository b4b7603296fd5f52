"""A text stream that outlives its reader: a closed pipe or terminal never ends a run."""

from __future__ import annotations

from typing import TextIO

from asyncrun.errors import StorageError, os_words
from asyncrun.streams import is_gone, silence


class Outlet:
    """Writes to a stream until nobody reads it any more; from then on it is silent.

    With `answer=True` what is written is what the user asked for: a full disk raises StorageError once. Otherwise it is a courtesy, and any
    failure is silence.

    >>> import io
    >>> Outlet(io.StringIO()).write("a line")
    6
    """

    def __init__(self, stream: TextIO, *, answer: bool = False) -> None:
        self._stream = stream
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
        """Write a text and count its characters; a character that the stream's encoding lacks is written out as an escape."""
        if self._open:
            try:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
            except (OSError, ValueError) as error:
                self._lost(error)
        return len(text)

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
        gone = is_gone(self._stream, error)
        silence(self._stream)
        if self._answer and isinstance(error, OSError) and not gone:
            raise StorageError(f"cannot write to standard output: {os_words(error)}") from error
