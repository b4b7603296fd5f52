"""The JSON Schema of an answer: read once, with every reference in itself; nothing is ever fetched for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncrun.escape import printable

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MAX_DEPTH = 64
"""How many levels of lists and objects a schema and an answer may have."""
_SHOWN = 200
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class SchemaError(ValueError):
    """What is wrong with a JSON Schema; `place` is where in it, as a JSON pointer, empty for the whole."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class Violation(NamedTuple):
    """Where a value breaks its schema, as a JSON pointer into the value, and the rule that it breaks, as the schema has it."""

    place: str
    rule: str


@dataclass(frozen=True)
class AnswerSchema:
    """A JSON Schema that values can be held against. Two of the same text are equal."""

    text: str
    _validator: Validator = field(repr=False, compare=False)

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return the schema itself, its keys in the order of the one who wrote it."""
        document: dict[str, Any] = json.loads(self.text)
        return document

    def violation(self, value: Any) -> Violation | None:
        """Return the first rule that a value breaks, None where it keeps them all.

        The words are those of the schema, not of a library, so that they stay the same whatever is installed.

        >>> parse_schema({"properties": {"grade": {"enum": ["a", "b"]}}}).violation({"grade": "z"})
        Violation(place='/grade', rule='"enum": ["a", "b"]')
        """
        try:
            self._validator.validate(value)
        except ValueError as error:
            path = list(getattr(error, "schema_path", ()))
            return Violation(pointer(getattr(error, "instance_path", ())), self._rule(path))
        return None

    def _rule(self, path: list[str | int]) -> str:
        here: Any = self.document
        for step in path:
            found = _child(here, step)
            here = _pointed(self.document, found) if step == "$ref" else found
        keyword = json.dumps(path[-1] if path else "")
        return keyword if here is None else f"{keyword}: {printable(json.dumps(here, ensure_ascii=False), _SHOWN)}"


def parse_schema(document: Any) -> AnswerSchema:
    """Return the schema of a decoded document: draft 2020-12, or the draft that its `$schema` names; formats are checked.

    >>> parse_schema({"type": "string"}).violation("Yes.") is None
    True

    Raises SchemaError for what is no JSON Schema, and for a reference to anything outside of it.
    """
    from jsonschema_rs import ValidationError, validator_for

    if not isinstance(document, Mapping):
        raise SchemaError("a JSON Schema is an object")
    _check_depth(document)
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise SchemaError("it holds what JSON cannot hold, such as a date, NaN or half a character") from error
    try:
        validator = validator_for(json.loads(text), validate_formats=True, retriever=_fetch_nothing)
    except ValidationError as error:
        raise _schema_error(document, error.message, pointer(error.instance_path)) from error
    except ValueError as error:  # A number that the validator cannot hold.
        raise SchemaError(printable(str(error), _SHOWN)) from error
    return AnswerSchema(text, validator)


def pointer(path: Any) -> str:
    """Return a path of keys and positions as a JSON pointer (RFC 6901).

    >>> pointer(["tags", 0, "a/b"])
    '/tags/0/a~1b'
    """
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def _schema_error(document: Mapping[str, Any], message: str, place: str) -> SchemaError:
    for where, target in _references(document):
        outside = target.partition("#")[0]
        if outside and outside in message:
            return SchemaError(f"it refers to {printable(target, _SHOWN)!r}, and nothing is fetched; put it under $defs", where)
        if target.startswith("#") and message.startswith("Pointer") and target[1:] in message:
            return SchemaError(f"it refers to {printable(target, _SHOWN)!r}, which it does not hold", where)
    return SchemaError(printable(message, _SHOWN), place)


def _references(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    steps = document.items() if isinstance(document, Mapping) else enumerate(document) if isinstance(document, list) else ()
    for step, value in steps:
        if step in _REFERENCES and isinstance(value, str):
            yield pointer((*path, step)), value
        yield from _references(value, (*path, step))


def _check_depth(document: Any) -> None:
    level, depth = [document], 0
    while level:
        if depth > MAX_DEPTH:
            raise SchemaError(f"it is nested deeper than {MAX_DEPTH} levels")
        level = [inner for one in level for inner in _inner(one)]
        depth += 1


def _inner(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [one for one in values if isinstance(one, Mapping | list | tuple)]


def _pointed(document: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    here = document
    for step in reference[1:].split("/")[1:]:
        here = _child(here, step.replace("~1", "/").replace("~0", "~"))
    return here


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[int(step)] if isinstance(value, list) and str(step).isdecimal() and int(step) < len(value) else None


def _fetch_nothing(uri: str) -> Any:
    raise LookupError("nothing is fetched")
