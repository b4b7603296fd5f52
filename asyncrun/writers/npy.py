"""Writer of NumPy files: the vectors in one file, their ids beside it, a line each."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asyncrun.errors import OutputError, Place, UsageError
from asyncrun.grammar.file_formats import id_line, ids_path
from asyncrun.writers.atomic import AtomicFile


class NpyWriter:
    """Writes `embedding` of all rows as one float32 array of the shape (rows, dimensions), and their ids to `<name>.ids.txt`.

    Line i of the ids belongs to row i; an id that a line cannot hold is a JSON string (`id_line`). The former ids are removed before the
    new vectors take their place, and the new ids come last: a kill in between leaves vectors without ids, which the next run makes up
    for, and never ids that belong to other vectors.
    For the files themselves see `AtomicFile`.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        if columns is not None:
            raise UsageError("an .npy file holds embeddings and ids: it has no columns to choose", place=Place(str(path)))
        self._path = path
        self._shape = (0, 0)
        self._vectors = AtomicFile(path)
        try:
            self._ids = AtomicFile(ids_path(path))
        except BaseException:
            self._vectors.abort()
            raise

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises StorageError when the disk is full or fails, OutputError for a row without an embedding of the same size."""
        vector = row.get("embedding")
        if vector is None:
            raise OutputError(
                "these rows have no embedding",
                place=Place(str(self._path)),
                hint="An .npy file holds nothing else: choose .jsonl, .csv or .parquet.",
            )
        rows, dimensions = self._shape
        if not rows:
            dimensions = len(vector)
            self._vectors.write(_header((0, dimensions)))
        elif len(vector) != dimensions:
            raise OutputError(f"an embedding has {len(vector)} numbers, the ones before {dimensions}", place=Place(str(self._path)))
        self._vectors.write(np.asarray(vector, dtype="<f4").tobytes())
        self._ids.write(id_line(str(row["id"])).encode() + b"\n")
        self._shape = (rows + 1, dimensions)

    def commit(self) -> os.stat_result:
        """Make both files durable and put them in their places; returns that of the vectors. Raises OutputError, StorageError."""
        if self._shape[0]:
            self._vectors.write_at_start(_header(self._shape))
        else:
            self._vectors.write(_header(self._shape))
        self._vectors.finish()
        self._ids.finish()
        self._ids.remove_former()
        placed = self._vectors.put_in_place()
        self._ids.put_in_place()
        return placed

    def abort(self) -> None:
        """Throw the temporary files away; may be called after `commit` and twice."""
        self._vectors.abort()
        self._ids.abort()


def _header(shape: tuple[int, int]) -> bytes:
    """Return the head of the file; NumPy leaves room in it for the number of rows to grow."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return head.getvalue()
