"""Writers of JSON lines: a row a line, into a file or onto standard output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.streams import discard_output, reader_is_gone
from asyncrun.writers.atomic import AtomicFile


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
        gone, self._open = reader_is_gone(self._stream, error), False
        discard_output(self._stream)
        if not gone:
            raise StorageError(f"cannot be written: {os_words(error)}", place=Place("standard output")) from error


class JsonlWriter:
    """Writes rows as JSON objects, one a line; float32 arrays as the shortest numbers that give the same float32 back.

    `columns` chooses and orders what is written; None: every row as it is. For the output itself see `AtomicFile` and `StdoutFile`.
    """

    def __init__(self, output: Path | StdoutFile, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._file = output if isinstance(output, StdoutFile) else AtomicFile(output)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises StorageError when the disk is full or fails."""
        self._file.write(json_line(row, self._columns))

    def commit(self) -> os.stat_result | None:
        """Make the rows durable and put the file in its place; returns which one it is there. Raises OutputError, StorageError."""
        return self._file.commit()

    def abort(self) -> None:
        """Throw the temporary file away, write no more onto a stream; may be called after `commit` and twice."""
        self._file.abort()


def json_line(row: Mapping[str, Any], columns: Sequence[str] | None = None) -> bytes:
    r"""Return a row as one line of JSON.

    >>> json_line({"id": "a", "text": "b\n"}, ["id"])
    b'{"id":"a"}\n'
    """
    return json_value(dict(row) if columns is None else {name: row.get(name) for name in columns}) + b"\n"


def json_value(value: Any) -> bytes:
    """Return a value of a row as JSON."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: Any) -> Any:
    """Turn what orjson does not know into what it does: array views with gaps, and mappings."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a row")
