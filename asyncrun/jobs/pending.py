"""What has to be sent: a text with its key and its size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pending:
    """A text that must be sent.

    `key` is its content key, `size` its UTF-8 bytes, `ordinal` the place of its item in the input, -1 for a text that is no item.
    """

    key: bytes
    text: str
    size: int
    ordinal: int = -1
