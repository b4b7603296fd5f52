"""A filter as an SQL condition over a column of JSON: the condition holds question marks only, the values travel as parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Or, Value

SqlValue = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL expression that is true, false or null, and the parameters of its question marks in order."""

    sql: str
    parameters: tuple[SqlValue, ...]


def json_path(field: Sequence[str]) -> str:
    """Return the path of names in SQLite's words.

    >>> json_path(("author", "name"))
    '$."author"."name"'
    """
    return "$" + "".join(f'."{name}"' for name in field)


def compile_filter(tree: Filter, column: str) -> Condition:
    """Return a filter as SQL over the JSON in `column` (a column's name, never a user's word).

    >>> compile_filter(Comparison(("lang",), "=", "en"), "metadata").parameters
    ('$."lang"', '$."lang"', b'en')
    """
    match tree:
        case Comparison(field, operator, value):
            return _typed(column, field, [(_kind(value), operator, [value])])
        case Membership(field, values):
            kinds = dict.fromkeys(map(_kind, values))
            return _typed(column, field, [(kind, "IN", [value for value in values if _kind(value) == kind]) for kind in kinds])
        case Not(term):
            inner = compile_filter(term, column)
            return Condition(f"NOT ({inner.sql})", inner.parameters)
        case And(terms):
            return _joined(" AND ", [compile_filter(term, column) for term in terms])
        case Or(terms):
            return _joined(" OR ", [compile_filter(term, column) for term in terms])


# What json_type() says of a field, per type of a value.
_JSON_TYPES = {"text": "('text')", "number": "('integer', 'real')", "truth": "('true', 'false')"}
# A text may hold a lone surrogate, which cannot be bound as text. A number goes through the conversion that the stored one goes through:
# SQLite's own is not correctly rounded in every version, so that a float of Python may differ from it by one bit.
_PLACEHOLDERS = {"text": "CAST(? AS TEXT)", "number": "json_extract(?, '$')", "truth": "?"}


def _kind(value: Value) -> str:
    if isinstance(value, str):
        return "text"
    return "truth" if isinstance(value, bool) else "number"


def _typed(column: str, field: Sequence[str], branches: Sequence[tuple[str, str, Sequence[Value]]]) -> Condition:
    """Return a CASE that compares only what has the same type; a field of any other type, or none, comes out as null."""
    path = json_path(field)
    sql = "CASE"
    parameters: list[SqlValue] = []
    for kind, operator, values in branches:
        placeholders = ", ".join([_PLACEHOLDERS[kind]] * len(values))
        right = f"({placeholders})" if operator == "IN" else placeholders
        sql += f" WHEN json_type({column}, ?) IN {_JSON_TYPES[kind]} THEN json_extract({column}, ?) {operator} {right}"
        parameters += [path, path, *map(_parameter, values)]
    return Condition(f"{sql} END", tuple(parameters))


def _parameter(value: Value) -> SqlValue:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return int(value) if isinstance(value, bool) else json.dumps(value)


def _joined(operator: str, conditions: Sequence[Condition]) -> Condition:
    """Join flatly, a hundred at a time: an SQL expression may be 1,000 deep, and `a AND b AND c` counts as deep as it is long."""
    parts = [condition.sql for condition in conditions]
    while len(parts) > 100:
        parts = [f"({operator.join(parts[i : i + 100])})" for i in range(0, len(parts), 100)]
    return Condition(f"({operator.join(parts)})", tuple(value for condition in conditions for value in condition.parameters))
