"""Readers of text files: plain or Markdown, a file a record, or every line that is not blank; the field is `text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncrun.errors import Place
from asyncrun.readers.interface import BadRecord, Record, decode, numbered_lines, too_long, whole


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


def read_lines(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield a record a line, without its line end; blank lines are no records but are counted.

    Raises StorageError when the file cannot be read to its end.
    """
    for number, line in numbered_lines(path, shown):
        place = Place(shown, number)
        if line is None:
            yield BadRecord(place, "bad_record", too_long("line"))
            continue
        try:
            text = decode(line, "line")
        except UnicodeError as error:
            yield BadRecord(place, "bad_text", str(error))
            continue
        if text and not text.isspace():
            yield Record({"text": text}, place)
