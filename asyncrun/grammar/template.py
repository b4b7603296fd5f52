"""Templates: texts with fields of a record in braces, such as `"{title}. {text}"`, and one field picked by its dotted name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from asyncrun.errors import ItemError, UsageError
from asyncrun.humanize import did_you_mean

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+")


class BraceField(NamedTuple):
    """A field of a text: its name, how it is written, and where it begins, in characters from 0. The name of a single brace is empty."""

    name: str
    written: str
    offset: int


def split_braces(text: str) -> tuple[list[str], list[BraceField]]:
    """Return the literals of a text and the fields between them; there is one literal more than fields. `{{` and `}}` are braces.

    >>> split_braces("{{json}} { title }?")
    (['{json} ', '?'], [BraceField(name='title', written='{ title }', offset=9)])
    """
    literals, fields = [""], []
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in ("{{", "}}"):
            literals[-1] += piece[0]
        elif piece[0] in "{}":
            fields.append(BraceField(piece.strip("{}").strip(), piece, match.start()))
            literals.append("")
        else:
            literals[-1] += piece
    return literals, fields


MISSING = object()
"""What `pick` returns for a field that a record does not have."""

_EXACT = 2**53  # Above it a float no longer tells neighbouring integers apart (IEEE 754 double).


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields in it: `literals[0] + fields[0] + literals[1] + ...`; there is one literal more than fields.

    `plain` is the field that is the whole text, None for any other template.
    """

    literals: tuple[str, ...]
    fields: tuple[str, ...]
    plain: str | None = None

    def fill(self, record: Mapping[str, Any]) -> str:
        """Return the text of a record.

        >>> parse_template("{title}. {body.text}").fill({"title": "A", "body": {"text": "b"}})
        'A. b'

        Raises ItemError (bad_record) that names a field which is missing, null, or neither a text nor a number.
        """
        if self.plain is not None:
            value = record.get(self.plain)
            return value if type(value) is str else field_text(record, self.plain)
        return self._joined([field_text(record, name) for name in self.fields])

    def fill_text(self, record: Mapping[str, Any]) -> str:
        """Return the text of a record as `fill` does, and none at all where every field is blank: what is left says nothing of it.

        >>> parse_template("{title}. {body}").fill_text({"title": "", "body": " "})
        ''
        """
        if self.plain is not None:
            return self.fill(record)
        values = [field_text(record, name) for name in self.fields]
        return self._joined(values) if any(map(str.strip, values)) or not values else ""

    def _joined(self, values: Sequence[str]) -> str:
        return self.literals[0] + "".join(value + literal for value, literal in zip(values, self.literals[1:], strict=True))


def parse_template(words: str) -> Template:
    """Return the template of a field name, or of a text with `{field}` in it, where `{{` and `}}` are braces.

    >>> parse_template("author.name").fields
    ('author.name',)

    Raises UsageError for a single brace or an empty field.
    """
    if "{" not in words and "}" not in words:
        if not words:
            raise UsageError("a field name is empty", hint="Name a field, or write a template such as '{title}. {text}'.")
        return Template(("", ""), (words,), words)
    literals, fields = split_braces(words)
    for field in fields:
        if not field.name:
            raise UsageError(
                f"the template {words!r} has a {field.written!r} that is no field", hint="Write {field}; {{ and }} are braces."
            )
    names = tuple(field.name for field in fields)
    return Template(tuple(literals), names, names[0] if literals == ["", ""] else None)


def pick(record: Mapping[str, Any], name: str) -> Any:
    """Return the value of a field, `MISSING` if there is none; a field that is really called `a.b` comes before `b` in `a`."""
    value = record.get(name, MISSING)
    if value is not MISSING or "." not in name:
        return value
    head, _, rest = name.partition(".")
    inner = record.get(head, MISSING)
    return pick(inner, rest) if isinstance(inner, Mapping) else MISSING


def field_text(record: Mapping[str, Any], name: str) -> str:
    """Return a field as a text: a number as it is written, true and false as such. Raises ItemError (bad_record)."""
    value = pick(record, name)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if abs(value) < _EXACT:
            return repr(value)
        raise ItemError(f"the field {name!r} is a number too large to be read exactly; put it in quotes", reason="bad_record")
    if value is MISSING:
        raise ItemError(f"no field {name!r}{_known(record, name)}", reason="bad_record")
    if isinstance(value, bytes):
        raise ItemError(f"the field {name!r} is binary data, not a text in UTF-8", reason="bad_record")
    kind = "null" if value is None else "a list" if isinstance(value, list | tuple) else "an object"
    raise ItemError(f"the field {name!r} is {kind}, not a text", reason="bad_record")


def _known(record: Mapping[str, Any], name: str) -> str:
    known = [str(field) for field in record]
    if not known:
        return "; the record is empty"
    more = ", ..." if len(known) > 10 else ""
    return f"; known: {', '.join(known[:10])}{more}{did_you_mean(name, known)}"
