"""Bytes of an input file: read through compression, a line at a time, as UTF-8, with one error for whatever cannot be read."""

from __future__ import annotations

import bz2
import errno
import gzip
import importlib
import lzma
import stat
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from asyncrun.errors import ItemError, MissingExtraError, Place, Reason, StorageError, os_words
from asyncrun.grammar.file_formats import find_zstd

LONGEST = 64 * 1024 * 1024
"""Bytes of the longest line or text document that is read; a longer one is a bad record."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NO_ZSTD = partial(
    MissingExtraError, ".zst needs the extra 'zstd', which is not installed", hint="Install it: pip install 'asyncrun[zstd]'."
)
_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def numbered_lines(path: Path, shown: str, *, with_ends: bool = False, encoding: str | None = None) -> Iterator[tuple[int, bytes | None]]:
    """Yield every line in UTF-8 with its number, from 1, without its line end unless `with_ends`, and without a byte order mark.

    A line above `LONGEST` bytes is None: it is passed over, never held. One that is not in the file's `encoding` (None: UTF-8) is no
    UTF-8 either. Raises StorageError.
    """
    number = 0
    try:
        with _lines_of(path, encoding) as file:
            for number, read in enumerate(iter(partial(file.readline, LONGEST + 2), b""), 1):
                line = read.removeprefix(_BOM) if number == 1 else read
                body = line.removesuffix(b"\n").removesuffix(b"\r")
                if len(body) <= LONGEST:
                    yield number, line if with_ends else body
                else:
                    _pass_line(file, line)
                    yield number, None
    except _unreadable_errors() as error:
        raise _unreadable(error, Place(shown, number + 1) if number else Place(shown)) from error


def document(path: Path, shown: str, *, at_most: int | None = None) -> bytes | None:
    """Return the content of a file that is one document, as `whole` does.

    Raises ItemError (unreadable) for one that is gone, may not be read or is damaged: the documents beside it are read. Raises StorageError
    where not the file is to blame, but what this process may open and hold.
    """
    try:
        return whole(path, shown, at_most=at_most)
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _OF_THE_PROCESS:
            raise
        raise ItemError(error.message, reason=Reason.UNREADABLE) from error


def whole(path: Path, shown: str, *, at_most: int | None = None) -> bytes | None:
    """Return the content of a file with its byte order mark, None above `at_most` bytes (`LONGEST`). Raises StorageError."""
    at_most = LONGEST if at_most is None else at_most
    try:
        with _open(path) as file:
            # A piece at a time: to ask for all that may be there is to have room made for it.
            held = BytesIO()
            while held.tell() <= at_most and (piece := file.read(1024 * 1024)):
                held.write(piece)
    except _unreadable_errors() as error:
        raise _unreadable(error, Place(shown)) from error
    return held.getvalue() if held.tell() <= at_most else None


def decode_line(data: bytes, encoding: str | None = None) -> str:
    r"""Return a line as text; `encoding` is that of the file, whose lines come in UTF-8.

    >>> decode_line(b"caf\xe9")
    Traceback (most recent call last):
    UnicodeError: not UTF-8: byte 0xe9 at offset 3 of the line; set `input.encoding` to what it is

    Raises UnicodeError whose words name the first bad byte.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise UnicodeError(f"the line is not {encoding}") from None
        guess = "it looks like UTF-16: " if data.startswith(_UTF16) else ""
        where = f"byte 0x{data[error.start]:02x} at offset {error.start} of the line"
        raise UnicodeError(f"not UTF-8: {where}; {guess}set `input.encoding` to what it is") from None


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


def missing_zstd(path: str) -> MissingExtraError | None:
    """Return the error of a file that is compressed in a way that nothing here reads, None for any other."""
    return _NO_ZSTD() if path.lower().endswith(".zst") and find_zstd() is None else None


def _open(path: Path) -> IO[bytes]:
    check_regular(path)
    match path.suffix.lower():
        case ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case ".zst":
            return cast("IO[bytes]", _zstd().open(path, "rb"))
        case _:
            return path.open("rb", buffering=256 * 1024)


def _lines_of(path: Path, encoding: str | None) -> IO[bytes]:
    if encoding is None:
        return _open(path)
    from asyncrun.readers.encodings import utf8_of

    return utf8_of(_open(path), encoding)


def _zstd() -> Any:
    module = find_zstd()
    if module is None:
        raise _NO_ZSTD()
    return importlib.import_module(module)


def _unreadable_errors() -> tuple[type[Exception], ...]:
    """Return what the reading of a file may raise; asked when something was raised, so that nobody loads what was not used."""
    zstd = sys.modules.get(find_zstd() or "")
    return _UNREADABLE if zstd is None else (*_UNREADABLE, zstd.ZstdError)


def _pass_line(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(1024 * 1024)


def _unreadable(error: Exception, place: Place) -> StorageError:
    hint = "Mend the file or its permissions, then run the same command again."
    return StorageError(f"cannot be read to its end: {os_words(error)}", place=place, hint=hint)
