"""A filter as an SQL condition over a column of jsonb: it holds placeholders only, the values travel as parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Or, Value

Parameter = str | bool | list[str] | list[bool]


@dataclass(frozen=True, slots=True)
class JsonbCondition:
    """An SQL expression that is true, false or null, and the parameters of its placeholders in order."""

    sql: str
    parameters: tuple[Parameter, ...]


def compile_filter(tree: Filter, column: str) -> JsonbCondition:
    """Return a filter as SQL over the jsonb in `column` (a column's name, never a user's word).

    >>> compile_filter(Comparison(("lang",), "=", "en"), "metadata").parameters
    ('lang', 'lang', 'en')
    """
    match tree:
        case Comparison(field, operator, value):
            kind, _ = _typed(value)
            return _comparing(column, field, [(kind, f"{operator} {{}}", _typed(value)[1])])
        case Membership(field, values):
            typed = [_typed(value) for value in values]
            kinds = dict.fromkeys(kind for kind, _ in typed)
            return _comparing(column, field, [(kind, "= ANY ({}[])", [each for of, each in typed if of == kind]) for kind in kinds])
        case Not(term):
            inner = compile_filter(term, column)
            return JsonbCondition(f"NOT ({inner.sql})", inner.parameters)
        case And(terms):
            return _joined(" AND ", [compile_filter(term, column) for term in terms])
        case Or(terms):
            return _joined(" OR ", [compile_filter(term, column) for term in terms])


def path_sql(column: str, field: Sequence[str]) -> str:
    """Return what stands at a path of names; `#>` would take a name of digits for a place in a list.

    >>> path_sql("metadata", ("author", "name"))
    '(metadata -> %s::text -> %s::text)'
    """
    return f"({column}{' -> %s::text' * len(field)})"


_CASTS = {"string": "text", "number": "numeric", "boolean": "boolean"}


def _typed(value: Value) -> tuple[str, str | bool]:
    """Return the type of a value in the words of jsonb, and the value as it travels."""
    if isinstance(value, str):
        # PostgreSQL holds no NUL and no half of a surrogate pair, so that no text there can be equal.
        return "string", value.replace("\x00", "\ufffd").encode(errors="replace").decode()
    return ("boolean", value) if isinstance(value, bool) else ("number", number_text(value))


def number_text(value: float) -> str:
    """Return a number in digits, as one whose float has no fraction stands in the store: in full, not as the shortest text for it."""
    return str(int(value)) if isinstance(value, float) and abs(value) >= 1e16 else repr(value)


def _comparing(column: str, field: Sequence[str], branches: Sequence[tuple[str, str, Parameter | list[str | bool]]]) -> JsonbCondition:
    """Return a CASE that compares only what has the same type; a field of any other type, or none, comes out as null."""
    path = path_sql(column, field)
    sql = f"CASE jsonb_typeof({path})"
    parameters: list[Parameter] = [*field]
    for kind, comparison, value in branches:
        cast = _CASTS[kind]
        # The bytes decide the order of texts, as they do in every store, and not a language's rules.
        collation = ' COLLATE "C"' if kind == "string" else ""
        sql += f" WHEN '{kind}' THEN ({path} #>> '{{{{}}}}')::{cast}{collation} {comparison.format(f'%s::{cast}')}"
        parameters += [*field, value]  # type: ignore[list-item]
    return JsonbCondition(f"({sql} END)", tuple(parameters))


def _joined(operator: str, conditions: Sequence[JsonbCondition]) -> JsonbCondition:
    sql = operator.join(condition.sql for condition in conditions)
    return JsonbCondition(f"({sql})", tuple(value for condition in conditions for value in condition.parameters))
