"""A filter as conditions of Qdrant over what documents' metadata are known to be: none of a user's words is in them.

Qdrant compares a list by any of its elements, knows no type of a value, orders no texts, and counts in 64-bit floats. So each value is
kept as facts: hashes that say "`lang` is a text" and "`lang` is 'en'", and numbers to be ordered by. Conditions over them let every
document pass that the filter lets pass, and seldom another one, which whoever asks finds out by the metadata themselves.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from asyncrun.grammar.filter import And, Comparison, Filter, Membership, Not, Operator, Or, Value
from asyncrun.grammar.filter_match import kind_of

Condition = dict[str, Any]
"""A condition or a filter in Qdrant's JSON."""
_FACTS, _NUMBERS = "facts.is", "facts.order"
_LARGEST = 1.7e308
_NEGATED: Mapping[Operator, Operator] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def facts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of metadata, which are as JSON gives them: hashes of what `is`, and numbers to `order` by.

    >>> sorted(facts_of({"lang": "en"})) == ["is", "order"]
    True
    """
    known: list[str] = []
    order: dict[str, float] = {}
    for path, value in _values(metadata, ()):
        known.append(fact("there", path))
        kind = kind_of(value)
        if kind is None:
            continue
        known += [fact(kind, path), fact(kind, path, value)]
        for number, part in enumerate(_ordered(value) if kind != "truth" else ()):
            order[_key(kind, path, number)] = part
    return {"is": known, "order": order}


def fact(kind: str, path: tuple[str, ...], *value: Value) -> str:
    """Return the hash that says that a path has something of a kind, or one value."""
    plain = [int(each) if isinstance(each, float) and each.is_integer() else each for each in value]
    return hashlib.blake2b(json.dumps([kind, *path, plain]).encode(), digest_size=16).hexdigest()


def compile_filter(tree: Filter) -> Condition:
    """Return a filter of Qdrant, in its JSON, that lets every document pass for which `tree` is true."""
    return _as_filter(_compiled(tree, wanted=True))


def _compiled(tree: Filter, *, wanted: bool) -> Condition:
    """Return the condition for that a filter is true, or false: what is unknown is neither."""
    match tree:
        case Comparison(field, sign, value):
            return _compared(field, sign if wanted else _NEGATED[sign], value)
        case Membership(field, values):
            kinds = dict.fromkeys(map(kind_of, values))
            listed = _any_fact([fact(str(kind_of(value)), field, value) for value in values])
            if wanted:
                return listed
            return {"must": [_any_fact([fact(str(kind), field) for kind in kinds])], "must_not": [listed]}
        case Not(term):
            return _compiled(term, wanted=not wanted)
        case And(terms):
            return {"must" if wanted else "should": [_compiled(term, wanted=wanted) for term in terms]}
        case Or(terms):
            return {"should" if wanted else "must": [_compiled(term, wanted=wanted) for term in terms]}


def _compared(field: tuple[str, ...], sign: Operator, value: Value) -> Condition:
    kind = str(kind_of(value))
    same = _any_fact([fact(kind, field, value)])
    if sign == "=":
        return same
    of_kind = _any_fact([fact(kind, field)])
    if sign == "!=":
        return {"must": [of_kind], "must_not": [same]}
    keys = [_key(kind, field, number) for number in range(len(_ordered(value)))]
    return {"must": [of_kind, _beyond(keys, _ordered(value), "lt" if sign in ("<", "<=") else "gt")]}


def _beyond(keys: list[str], parts: list[float], side: str) -> Condition:
    """Return the condition for numbers that stand before or behind others in order, or are the same."""
    key = f"{_NUMBERS}.{keys[0]}"
    if len(keys) == 1:
        return {"key": key, "range": {f"{side}e": parts[0]}}
    same = {"key": key, "range": {"gte": parts[0], "lte": parts[0]}}
    return {"should": [{"key": key, "range": {side: parts[0]}}, {"must": [same, _beyond(keys[1:], parts[1:], side)]}]}


def _ordered(value: Any) -> list[float]:
    """Return numbers by which a number or a text is in order, or may be equal: of a text its first twelve bytes."""
    if isinstance(value, str):
        start = value.encode("utf-8", "surrogatepass")[:12].ljust(12, b"\0")
        return [float(int.from_bytes(start[:6])), float(int.from_bytes(start[6:]))]
    try:
        return [max(-_LARGEST, min(_LARGEST, float(value)))]
    except OverflowError:
        return [math.copysign(_LARGEST, value)]


def _key(kind: str, path: tuple[str, ...], number: int) -> str:
    return f"{fact(kind, path)}{number:d}"


def _any_fact(facts: list[str]) -> Condition:
    return {"key": _FACTS, "match": {"any": facts}}


def _as_filter(condition: Condition) -> Condition:
    return {"must": [condition]} if "key" in condition else condition


def _values(metadata: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in metadata.items():
        path = (*above, name)
        yield path, value
        if isinstance(value, Mapping):
            yield from _values(value, path)
