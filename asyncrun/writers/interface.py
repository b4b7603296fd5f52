"""The writer port: rows in, one whole file out, by one rename."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol


class Writer(Protocol):
    """Writes rows to a temporary file in the output's folder; `commit` puts it in the place of the output.

    A row is a mapping of column to value; `embedding` is a float32 array of one dimension. Until `commit` the former output is untouched.
    Raises OutputError when the file cannot be created, StorageError when writing fails.
    """

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""

    def commit(self) -> os.stat_result | None:
        """Make the rows durable and put the file in its place; returns which one it is there, None where that is not known."""

    def abort(self) -> None:
        """Throw the temporary file away; may be called after `commit` and twice."""
