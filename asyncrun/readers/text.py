"""Reader of text files, a file a record: plain text, logs, source code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncrun.errors import ItemError, Place
from asyncrun.grammar.file_formats import language_of
from asyncrun.readers.byte_lines import document, too_long
from asyncrun.readers.encodings import Decoded, decode_document
from asyncrun.readers.interface import BadRecord, Record


def read_text(path: Path, shown: str, *, encoding: str | None = None) -> Iterator[Record | BadRecord]:
    """Yield the file as one record; its line ends stay as they are. Source code has its `language` beside the text.

    `encoding` is that of the file; without one it is UTF-8, or what its byte order mark says, or guessed. Raises StorageError where no
    file can be read now.
    """
    read = read_whole(path, shown, encoding)
    if isinstance(read, BadRecord):
        yield read
        return
    language = language_of(path.name)
    yield Record({"text": read.text, **({"language": language} if language else {})}, Place(shown), remark_of(read))


def read_whole(path: Path, shown: str, encoding: str | None) -> Decoded | BadRecord:
    """Return the text of a file, or why it has none. Raises StorageError where no file can be read now."""
    try:
        data = document(path, shown)
        if data is None:
            return BadRecord(Place(shown), "bad_record", f"{too_long('file')}; set format: lines if a line is a text")
        return decode_document(data, encoding)
    except ItemError as error:
        return BadRecord(Place(shown), error.reason, error.message)


def remark_of(read: Decoded) -> str:
    """Return what there is to say of a text whose encoding was guessed."""
    return f"not UTF-8, read as {read.guess} by a guess (input.encoding settles it)" if read.guess else ""
