"""One name is one thing, and a module is more than a handful of lines that its neighbour alone needs."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = 40
"""Lines below which a module that one neighbour alone imports is a part of that neighbour."""

ON_ITS_OWN: dict[str, str] = {}
"""Such modules that stay, each with the reason."""


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "asyncrun").rglob("*.py"))}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def named_in(path: Path, tree: ast.Module) -> Iterator[str]:
    """Yield what a file imports, wherever in it, and what it names in a text: a registry and a lazy package import by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]
            yield f"{module_of(path)}.{node.value}"


def test_no_public_class_has_the_name_of_another(trees: dict[Path, ast.Module]) -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module_of(path))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_no_module_is_a_shard_of_its_only_importer(trees: dict[Path, ast.Module]) -> None:
    importers: dict[str, set[str]] = defaultdict(set)
    known = {module_of(path) for path in trees}
    for path, tree in trees.items():
        for name in named_in(path, tree):
            if name in known and name != module_of(path):
                importers[name].add(module_of(path))
    shards = {}
    for path in trees:
        module, lines = module_of(path), len(path.read_text(encoding="utf-8").splitlines())
        users = importers[module]
        if (
            path.name != "__init__.py"
            and lines < SMALL
            and len(users) == 1
            and next(iter(users)).rpartition(".")[0] == module.rpartition(".")[0]
        ):
            shards[module] = next(iter(users))
    assert {module: user for module, user in shards.items() if module not in ON_ITS_OWN} == {}
    assert sorted(ON_ITS_OWN.keys() - shards.keys()) == [], "these are no shards any more: take them off the list"
