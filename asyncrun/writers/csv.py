"""Writer of CSV files: a header, a row a line, everything that is no text as JSON."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncrun.writers.atomic import AtomicFile
from asyncrun.writers.jsonl import json_value

_QUOTED = re.compile('[",\r\n]')


class CsvWriter:
    r"""Writes rows as RFC 4180 has them, in UTF-8, but with `\n` at the end of a line.

    Texts are written as they are, also one that begins with `=`, `+`, `-` or `@`, which a spreadsheet may take for a formula: they are
    data, and whoever reads the file gets them back unchanged. `embedding` is a JSON array, every other value that is no text is JSON, null
    is an empty field, an empty text `""`. The columns are `columns`, or those of the first row. For the file itself see `AtomicFile`.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._begun = False
        self._file = AtomicFile(path)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises StorageError when the disk is full or fails."""
        if self._columns is None:
            self._columns = tuple(row)
        self._begin()
        self._line([row.get(name) for name in self._columns])

    def commit(self) -> os.stat_result:
        """Make the rows durable and put the file in its place, which is returned. Raises OutputError, StorageError."""
        self._begin()
        return self._file.commit()

    def abort(self) -> None:
        """Throw the temporary file away; may be called after `commit` and twice."""
        self._file.abort()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._line(self._columns or ("id",))

    def _line(self, values: Sequence[Any]) -> None:
        self._file.write((",".join(map(csv_field, values)) + "\n").encode())


def csv_field(value: Any) -> str:
    r"""Return a value as a field of CSV.

    >>> [csv_field(value) for value in ("plain", "a, b", "", None, [1, 2])]
    ['plain', '"a, b"', '""', '', '"[1,2]"']
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else json_value(value).decode()
    return text if text and not _QUOTED.search(text) else '"' + text.replace('"', '""') + '"'
