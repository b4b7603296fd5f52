"""A YAML text as a tree of nodes that know where they stand, and what a plain scalar of it means; no tag is obeyed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from asyncrun.errors import Place
from asyncrun.escape import printable

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the tree: keys and positions from the root."""


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A value as it was typed; `plain` when no quotes stood around it. Lines and columns count from 1."""

    text: str
    plain: bool
    line: int
    column: int
    size: int = 1
    height: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A list. `size` counts its nodes with every alias followed, `height` the levels below it."""

    items: tuple[YamlNode, ...]
    line: int
    column: int
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class TableEntry:
    """One `key: value` of a table, and where its key stands."""

    value: YamlNode
    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A mapping of texts to nodes."""

    entries: Mapping[str, TableEntry]
    line: int
    column: int
    size: int = 1
    height: int = 1


YamlNode: TypeAlias = Scalar | Listing | Table
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which is no character."""


def is_nothing(node: YamlNode | None) -> bool:
    """Tell whether a value was left empty, or says so."""
    return isinstance(node, Scalar) and node.plain and node.text in ("", "~", "null")


def child(node: YamlNode | None, step: str | int) -> YamlNode | None:
    """Return what stands one step below a node, or None."""
    if isinstance(node, Table):
        entry = node.entries.get(str(step)) if isinstance(step, str) else None
        return entry.value if entry else None
    if isinstance(node, Listing) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def node_at(node: YamlNode | None, path: KeyPath) -> YamlNode | None:
    """Return what stands at a path below a node, or None."""
    for step in path:
        node = child(node, step)
    return node


def nearest(node: YamlNode, path: KeyPath) -> KeyPath:
    """Return the longest beginning of a path that is in the tree."""
    for length, step in enumerate(path):
        below = child(node, step)
        if below is None:
            return path[:length]
        node = below
    return path


def place(node: YamlNode, path: KeyPath, file: str, *, key: bool = False) -> Place:
    """Return where the value at a path stands (or its key); for what is not there, where the nearest thing above it stands."""
    known = nearest(node, path)
    parent = node_at(node, known[:-1]) if known else None
    if key and known == path and isinstance(parent, Table):
        entry = parent.entries[str(path[-1])]
        return Place(file, entry.line, entry.column)
    found = node_at(node, known) or node
    return Place(file, found.line, found.column)


def children(node: YamlNode | None) -> Iterator[tuple[str | int, YamlNode]]:
    """Yield every step below a node with what stands there."""
    if isinstance(node, Table):
        yield from ((key, entry.value) for key, entry in node.entries.items())
    elif isinstance(node, Listing):
        yield from enumerate(node.items)


def matching(node: YamlNode | None, pattern: KeyPath, path: KeyPath = ()) -> Iterator[tuple[KeyPath, YamlNode]]:
    """Yield the nodes at the paths that a pattern describes; `*` stands for any step."""
    if node is None:
        return
    if not pattern:
        yield path, node
        return
    step, rest = pattern[0], pattern[1:]
    for name, below in children(node) if step == "*" else ((step, child(node, step)),):
        yield from matching(below, rest, (*path, name))


def show(path: KeyPath) -> str:
    """Return a path as a person writes it.

    >>> show(("jobs", 1, "chunk", "size"))
    'jobs[1].chunk.size'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{printable(step, 60)}"
    return text.removeprefix(".")


_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {form for word in ("true", "yes", "on") for form in (word, word.title(), word.upper())}
_FALSE = {form for word in ("false", "no", "off") for form in (word, word.title(), word.upper())}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]*[0-9a-fA-F]|0o[0-7]+|0b[01_]*[01])")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 300


class UnclearScalarError(ValueError):
    """A plain scalar that YAML 1.1 and YAML 1.2 read differently, or that is no finite number."""


def read_plain(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar without quotes.

    >>> [read_plain(text) for text in ("a", "5", "1e3", "no", "~", "1.5")]
    ['a', 5, 1000.0, False, None, 1.5]

    Raises UnclearScalarError for `0123` (83 or 123), `12:30` (750 or a text), `.inf`.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _LEADING_ZERO.fullmatch(text):
        raise UnclearScalarError(
            f'YAML reads {text} as a number in base 8 or in base 10; write it without the leading zero, or as "{text}"'
        )
    if _SIXTIES.fullmatch(text):
        seconds = _sixties(text)
        raise UnclearScalarError(f'YAML reads {text} as the number {seconds} (base 60); write {seconds}, or the text as "{text}"')
    integer, real = _INTEGER.fullmatch(text), _FLOAT.fullmatch(text)
    if (integer or real) and len(text) > _MAX_DIGITS:
        raise UnclearScalarError(f"a number of {len(text)} digits; write the text in quotes")
    if integer:
        return int(text.replace("_", ""), 0)
    if _NO_NUMBER.fullmatch(text) or (real and not math.isfinite(float(text.replace("_", "")))):
        raise UnclearScalarError(f'{text} is no finite number; write the text as "{text}"')
    return float(text.replace("_", "")) if real else text


def _sixties(text: str) -> str:
    total = 0.0
    for part in text.lstrip("+-").replace("_", "")[:_MAX_DIGITS].split(":"):
        total = total * 60 + float(part)
    return f"{-total if text.startswith('-') else total:g}"
