"""A YAML text as a tree of nodes that know where they stand; nothing is constructed, no tag is obeyed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from asyncrun.errors import Place
from asyncrun.escape import printable

Path: TypeAlias = tuple[str | int, ...]
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

    items: tuple[Node, ...]
    line: int
    column: int
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One `key: value` of a table, and where its key stands."""

    value: Node
    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A mapping of texts to nodes."""

    entries: Mapping[str, Entry]
    line: int
    column: int
    size: int = 1
    height: int = 1


Node: TypeAlias = Scalar | Listing | Table


def child(node: Node | None, step: str | int) -> Node | None:
    """Return what stands one step below a node, or None."""
    if isinstance(node, Table):
        entry = node.entries.get(str(step)) if isinstance(step, str) else None
        return entry.value if entry else None
    if isinstance(node, Listing) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def find(node: Node | None, path: Path) -> Node | None:
    """Return what stands at a path below a node, or None."""
    for step in path:
        node = child(node, step)
    return node


def nearest(node: Node, path: Path) -> Path:
    """Return the longest beginning of a path that is in the tree."""
    for length, step in enumerate(path):
        below = child(node, step)
        if below is None:
            return path[:length]
        node = below
    return path


def place(node: Node, path: Path, file: str, *, key: bool = False) -> Place:
    """Return where the value at a path stands (or its key); for what is not there, where the nearest thing above it stands."""
    known = nearest(node, path)
    parent = find(node, known[:-1]) if known else None
    if key and known == path and isinstance(parent, Table):
        entry = parent.entries[str(path[-1])]
        return Place(file, entry.line, entry.column)
    found = find(node, known) or node
    return Place(file, found.line, found.column)


def children(node: Node | None) -> Iterator[tuple[str | int, Node]]:
    """Yield every step below a node with what stands there."""
    if isinstance(node, Table):
        yield from ((key, entry.value) for key, entry in node.entries.items())
    elif isinstance(node, Listing):
        yield from enumerate(node.items)


def matching(node: Node | None, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Yield the nodes at the paths that a pattern describes; `*` stands for any step."""
    if node is None:
        return
    if not pattern:
        yield path, node
        return
    step, rest = pattern[0], pattern[1:]
    for name, below in children(node) if step == "*" else ((step, child(node, step)),):
        yield from matching(below, rest, (*path, name))


def show(path: Path) -> str:
    """Return a path as a person writes it.

    >>> show(("jobs", 1, "chunk", "size"))
    'jobs[1].chunk.size'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{printable(step, 60)}"
    return text.removeprefix(".")
