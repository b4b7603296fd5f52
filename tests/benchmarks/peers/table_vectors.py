"""Vectors that cost nothing: rows of a table by the checksum of a text, for benchmarks of all that is not embedding."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
ROWS = 1 << 14


def row_of(text: str) -> int:
    """Return the row of a text."""
    return crc32(text.encode()) % ROWS


@cache
def table() -> NDArray[np.float32]:
    """Return the rows."""
    return np.random.default_rng(1).normal(size=(ROWS, DIMENSIONS)).astype(np.float32)
