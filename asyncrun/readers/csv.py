"""Readers of CSV and TSV: a header that names the fields, then a record a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from asyncrun.errors import Place, StorageError
from asyncrun.readers.byte_lines import LONGEST, numbered_lines, too_long
from asyncrun.readers.interface import BadRecord, Reader, Record


def read_csv(path: Path, shown: str, *, delimiter: str = ",", encoding: str | None = None) -> Iterator[Record | BadRecord]:
    """Yield a record a row, each at the line where it begins; a quoted field may have line breaks, blank lines are no records.

    All values are texts. A row may have fewer fields than the header, not more. A quotation mark that is never closed makes what follows
    one bad record. Raises StorageError when the file cannot be read to its end, or its header has a name twice.
    """
    # Python's own limit is 131,072 characters and can only be set for the process.
    csv.field_size_limit(LONGEST)
    skipped: list[int] = []
    rows = csv.reader(_lines(path, shown, skipped, encoding), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        place = Place(shown, rows.line_num + 1)
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield BadRecord(place, "bad_record", _in_words(error))
            continue
        for number in skipped:
            yield BadRecord(Place(shown, number), "bad_record", too_long("line"))
        skipped.clear()
        if row is None:
            return
        if not row:
            continue
        if header is None:
            header = _checked(row, place)
        else:
            yield _record(header, row, place, encoding)


read_tsv: Reader = partial(read_csv, delimiter="\t")


def _lines(path: Path, shown: str, skipped: list[int], encoding: str | None) -> Iterator[str]:
    for number, line in numbered_lines(path, shown, with_ends=True, encoding=encoding):
        if line is None:
            skipped.append(number)
        # What is no UTF-8 is found in the row that it belongs to, which may be of several lines.
        yield "\n" if line is None else line.decode(errors="surrogateescape")


def _checked(header: list[str], place: Place) -> list[str]:
    twice = next((name for at, name in enumerate(header) if name in header[:at]), None)
    if twice is not None:
        raise StorageError(f"the header has the field {twice!r} twice", place=place, hint="Rename one of the two columns.")
    return header


def _record(header: list[str], row: list[str], place: Place, encoding: str | None) -> Record | BadRecord:
    if len(row) > len(header):
        return BadRecord(place, "bad_record", f"{len(row)} fields, the header has {len(header)}")
    if not all(map(str.isascii, row)):
        try:
            "".join(row).encode()
        except UnicodeEncodeError as error:
            if encoding is not None:
                return BadRecord(place, "bad_text", f"the row is not {encoding}")
            byte = ord(error.object[error.start]) & 0xFF
            return BadRecord(place, "bad_text", f"not UTF-8: byte 0x{byte:02x} in the row; set `input.encoding` to what it is")
    return Record(dict(zip(header, row, strict=False)), place)


def _in_words(error: csv.Error) -> str:
    words = str(error)
    return "a quotation mark is never closed" if words == "unexpected end of data" else f"not CSV: {words}"
