"""Reader of text documents: a file, plain or Markdown, is one record with the field `text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncrun.errors import Place
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.stream import decode, too_long, whole


def read_text(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield the file as one record; its line ends stay as they are. Raises StorageError when it cannot be read."""
    data = whole(path, shown)
    if data is None:
        yield BadRecord(Place(shown), "bad_record", f"{too_long('file')}; set format: lines if a line is a text")
        return
    try:
        yield Record({"text": decode(data, "file")}, Place(shown))
    except UnicodeError as error:
        yield BadRecord(Place(shown), "bad_text", str(error))
