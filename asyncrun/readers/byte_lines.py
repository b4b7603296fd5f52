"""Bytes of an input file: read through compression, a line at a time, decoded as UTF-8, with one error for whatever cannot be read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from asyncrun.errors import Place, StorageError, os_words

LONGEST = 64 * 1024 * 1024
"""Bytes of the longest line or text document that is read; a longer one is a bad record."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def numbered_lines(path: Path, shown: str, *, with_ends: bool = False) -> Iterator[tuple[int, bytes | None]]:
    """Yield every line with its number, from 1, without its line end unless `with_ends`, and without a byte order mark.

    A line above `LONGEST` bytes is None: it is passed over, never held. Raises StorageError.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, read in enumerate(iter(partial(file.readline, LONGEST + 2), b""), 1):
                line = read.removeprefix(_BOM) if number == 1 else read
                body = line.removesuffix(b"\n").removesuffix(b"\r")
                if len(body) <= LONGEST:
                    yield number, line if with_ends else body
                else:
                    _pass_line(file, line)
                    yield number, None
    except _UNREADABLE as error:
        raise _unreadable(error, Place(shown, number + 1) if number else Place(shown)) from error


def whole(path: Path, shown: str) -> bytes | None:
    """Return the content of a file without a byte order mark, None above `LONGEST` bytes. Raises StorageError."""
    try:
        with _open(path) as file:
            data = file.read(LONGEST + 1)
    except _UNREADABLE as error:
        raise _unreadable(error, Place(shown)) from error
    return data.removeprefix(_BOM) if len(data) <= LONGEST else None


def decode_utf8(data: bytes, of: str) -> str:
    r"""Return the data as text. Raises UnicodeError whose words name the first bad byte and its offset in the line or file.

    >>> decode_utf8(b"caf\xe9", "line")
    Traceback (most recent call last):
    UnicodeError: not UTF-8: byte 0xe9 at offset 3 of the line
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        encoding = "; it looks like UTF-16" if data.startswith(_UTF16) else ""
        raise UnicodeError(f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} of the {of}{encoding}") from None


def too_long(of: str) -> str:
    """Return the sentence about a line or a file above `LONGEST`."""
    return f"the {of} is longer than {LONGEST // (1024 * 1024)} MB"


def check_regular(path: Path) -> None:
    """Raise OSError for what is no file, though it was one when the job began: opening a FIFO waits for somebody who writes.

    A folder is left to whoever opens it, and says itself that it is one.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError("it is not a regular file")


def _open(path: Path) -> IO[bytes]:
    check_regular(path)
    match path.suffix.lower():
        case ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case _:
            return path.open("rb", buffering=256 * 1024)


def _pass_line(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(1024 * 1024)


def _unreadable(error: Exception, place: Place) -> StorageError:
    hint = "Mend the file or its permissions, then run the same command again."
    return StorageError(f"cannot be read to its end: {os_words(error)}", place=place, hint=hint)
