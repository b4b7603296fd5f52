"""Which rows an output must have: those of the items that are done, each once, in input order."""

from __future__ import annotations

from array import array

from asyncrun.errors import DamagedStateError

RowIds = array  # of the type code "q"
"""Ids of items in their order, each as its hash in this process: eight bytes an item, which cost less than reading its line."""


def new_row_ids(hashes: bytes = b"") -> RowIds[int]:
    """Return ids of rows, given the hashes as 8 bytes each.

    >>> ids = new_row_ids()
    >>> ids.append(hash("a"))
    >>> ids == new_row_ids(ids.tobytes())
    True
    """
    return array("q", hashes)


def check_rows(shown: str, written: RowIds[int], done: RowIds[int]) -> None:
    """Raise DamagedStateError unless the rows written are those of the items that are done; `shown` is the output.

    Nothing that is known to happen leads here: it is the last look before a good file is replaced.
    """
    if written == done:
        return
    if len(written) == len(done):
        row = next(place for place, (one, other) in enumerate(zip(written, done, strict=True), 1) if one != other)
        words = f"row {row} of {shown} is not that of the item that is done"
    else:
        words = f"{shown} would have {len(written):,} rows, and {len(done):,} items are done"
    raise DamagedStateError(
        f"{words}: it is not put in its place", hint="Run the same command again: what is damaged or was dropped is sent again."
    )
