"""Reader of plain lines: every line that is not blank is a record with the field `text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncrun.errors import Place
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.stream import decode, numbered_lines, too_long


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
