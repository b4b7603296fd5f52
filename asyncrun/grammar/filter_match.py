"""What a filter says of metadata, for stores whose database cannot compare as the language does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Or

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(tree: Filter, metadata: Mapping[str, Any]) -> bool | None:
    """Return whether a document's metadata pass a filter; None: unknown, which is no match.

    >>> matches(Comparison(("year",), ">=", 2024), {"year": 2025})
    True
    >>> matches(Not(Comparison(("year",), ">=", 2024)), {"year": "2025"}) is None
    True
    """
    match tree:
        case Comparison(field, sign, value):
            found = value_at(metadata, field)
            return _COMPARE[sign](found, value) if kind_of(found) == kind_of(value) else None
        case Membership(field, values):
            found = value_at(metadata, field)
            kind = kind_of(found)
            same = [value for value in values if kind_of(value) == kind]
            return found in same if same else None
        case Not(term):
            inner = matches(term, metadata)
            return None if inner is None else not inner
        case And(terms):
            return _decided(terms, metadata, by=False)
        case Or(terms):
            return _decided(terms, metadata, by=True)


def value_at(metadata: Mapping[str, Any], field: tuple[str, ...]) -> Any:
    """Return what stands at a path of names, None where nothing does."""
    found: Any = metadata
    for name in field:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def kind_of(value: Any) -> str | None:
    """Return which of the language's three types a value has, None for any other.

    >>> [kind_of(value) for value in ("1", 1.0, True, None)]
    ['text', 'number', 'truth', None]
    """
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _decided(terms: tuple[Filter, ...], metadata: Mapping[str, Any], *, by: bool) -> bool | None:
    """Return `by` where one of the terms is that, else None where one is unknown, else the opposite."""
    unknown = False
    for term in terms:
        answer = matches(term, metadata)
        if answer is by:
            return by
        unknown = unknown or answer is None
    return None if unknown else not by
