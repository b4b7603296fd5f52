"""A kind of job is one place: nothing elsewhere asks which kind a job is of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncrun.registry import BUILT_IN

ROOT = Path(__file__).resolve().parents[2] / "asyncrun"
MODELS = {"EmbedJob", "GenerateJob", "IngestJob", "QueryJob"}
PLACES = [ROOT / "jobs" / kind for kind in BUILT_IN["kinds"]]
FILES = sorted(path for path in ROOT.rglob("*.py") if not any(path.is_relative_to(place) for place in PLACES))


def names_in(node: ast.AST) -> set[str]:
    return {name for each in ast.walk(node) if (name := getattr(each, "id", getattr(each, "attr", None)))}


def texts_in(node: ast.AST) -> Iterator[str]:
    return (each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))


def comparisons(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that tell kinds apart: by the class of a job, or by the word that stands in its entry."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and names_in(node.func) & {"isinstance", "issubclass", "type"} and names_in(node) & MODELS:
            yield node.lineno
        if isinstance(node, ast.Compare) and {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)} & set(
            BUILT_IN["kinds"]
        ):
            yield node.lineno


@pytest.mark.parametrize("source", ["isinstance(job, EmbedJob | QueryJob)", "issubclass(jobs.IngestJob, x)", "job.kind == 'query'"])
def test_a_comparison_of_kinds_is_found(source: str) -> None:
    assert list(comparisons(ast.parse(source))) == [1]


def test_nothing_outside_of_a_kinds_place_tells_kinds_apart() -> None:
    assert len(FILES) > 100
    found = [f"{path.relative_to(ROOT)}:{line}" for path in FILES for line in comparisons(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == []


def test_every_kind_has_its_place() -> None:
    for name, part in BUILT_IN["kinds"].items():
        assert part.target.partition(":")[0] == f"asyncrun.jobs.{name}"
