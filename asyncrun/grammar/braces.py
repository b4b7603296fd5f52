"""Texts with fields in braces, such as `"{title}. {text}"`: where the fields are."""

from __future__ import annotations

import re
from typing import NamedTuple

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+")


class Field(NamedTuple):
    """A field of a text: its name, how it is written, and where it begins, in characters from 0. The name of a single brace is empty."""

    name: str
    written: str
    offset: int


def split_braces(text: str) -> tuple[list[str], list[Field]]:
    """Return the literals of a text and the fields between them; there is one literal more than fields. `{{` and `}}` are braces.

    >>> split_braces("{{json}} { title }?")
    (['{json} ', '?'], [Field(name='title', written='{ title }', offset=9)])
    """
    literals, fields = [""], []
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in ("{{", "}}"):
            literals[-1] += piece[0]
        elif piece[0] in "{}":
            fields.append(Field(piece.strip("{}").strip(), piece, match.start()))
            literals.append("")
        else:
            literals[-1] += piece
    return literals, fields
