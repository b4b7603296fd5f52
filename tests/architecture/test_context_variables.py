"""State that travels is a parameter: a context variable is an exception with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "asyncrun"
MOST = 6


def made(tree: ast.AST) -> list[ast.Call]:
    """Return the calls that make a context variable, wherever they stand."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) == "ContextVar"]


def with_reasons(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield those at the top of a module that have a sentence right under them."""
    for statement, following in pairwise(tree.body):
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) and str(following.value.value).endswith("."):
            yield from made(statement)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def test_there_are_few_context_variables(trees: dict[str, ast.Module]) -> None:
    places = [f"{name}:{call.lineno}" for name, tree in trees.items() for call in made(tree)]
    assert 0 < len(places) <= MOST, places


def test_a_reason_stands_under_each_context_variable(trees: dict[str, ast.Module]) -> None:
    reasons = {name: list(with_reasons(tree)) for name, tree in trees.items()}
    assert [f"{name}:{call.lineno}" for name, tree in trees.items() for call in made(tree) if call not in reasons[name]] == []
