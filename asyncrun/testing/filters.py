"""Filters for contract suites: random ones with random metadata, their text, and what each store must make of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Or, Value

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def passes(tree: Filter, metadata: Mapping[str, Any]) -> bool | None:
    """Return what a filter says of a document's metadata; None: unknown, which is not a match.

    >>> passes(Not(Comparison(("lang",), "=", "en")), {}) is None
    True
    """
    match tree:
        case Comparison(field, sign, value):
            found = _field(metadata, field)
            return _COMPARE[sign](found, value) if _kind(found) == _kind(value) else None
        case Membership(field, values):
            found = _field(metadata, field)
            comparable = [value for value in values if _kind(value) == _kind(found)]
            return found in comparable if comparable else None
        case Not(term):
            inner = passes(term, metadata)
            return None if inner is None else not inner
        case And(terms):
            answers = [passes(term, metadata) for term in terms]
            return False if False in answers else None if None in answers else True
        case Or(terms):
            answers = [passes(term, metadata) for term in terms]
            return True if True in answers else None if None in answers else False


def render_filter(tree: Filter) -> str:
    """Return the text that is parsed into this tree."""
    match tree:
        case Comparison(field, sign, value):
            return f"{'.'.join(field)} {sign} {_render_value(value)}"
        case Membership(field, values):
            return f"{'.'.join(field)} in ({', '.join(map(_render_value, values))})"
        case Not(term):
            return f"not ({render_filter(term)})"
        case And(terms):
            return " and ".join(f"({render_filter(term)})" for term in terms)
        case Or(terms):
            return " or ".join(f"({render_filter(term)})" for term in terms)


def filters() -> st.SearchStrategy[Filter]:
    """Return random filters over the fields of `metadata()`, and some over fields that are never there."""
    fields = st.sampled_from([("lang",), ("year",), ("author", "name"), ("größe",), ("lang", "deeper"), ("nowhere",)])
    ordered = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    leaves: st.SearchStrategy[Filter] = st.one_of(
        st.builds(Comparison, fields, ordered, _TEXTS | _NUMBERS),
        st.builds(Comparison, fields, st.sampled_from(["=", "!="]), st.booleans()),
        st.builds(Membership, fields, st.lists(_TEXTS | _NUMBERS | st.booleans(), min_size=1, max_size=4).map(tuple)),
    )

    def larger(smaller: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        terms = st.lists(smaller, min_size=2, max_size=3).map(tuple)
        return st.builds(Not, smaller) | st.builds(And, terms) | st.builds(Or, terms)

    return st.recursive(leaves, larger, max_leaves=5)


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Return random metadata: texts, numbers, truth values, nulls, lists and mappings, each field there or not."""
    value = _TEXTS | _NUMBERS | st.booleans() | st.none() | st.lists(_TEXTS, max_size=2)
    author = st.fixed_dictionaries({}, optional={"name": value}) | value
    return st.fixed_dictionaries({}, optional={"lang": value, "year": value, "author": author, "größe": value})


# Few values often, so that equality is often true; then any. No NUL: some databases cannot hold it.
_TEXTS = st.sampled_from(["en", "de", "EN", "", "1", "true", "O'Hara", '"; --', "größe", "\U0001f600", "\ufb01"]) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4
)
_NUMBERS = (
    st.sampled_from([0, 1, 1.0, -1, 0.1, 2024, 2024.5, 2**53, 2**53 + 1, float(2**53)])
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)


def _field(metadata: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    found: Any = metadata
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _render_value(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else repr(value)
