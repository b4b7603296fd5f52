"""The page of faults is true: each fault is shown by tests, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES, _, LISTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").partition("## The tests\n")


def functions_in(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"^- `(.+)::(.+)`$", LISTS, re.MULTILINE)
    known = {file: functions_in(ROOT / file) for file, _ in named}
    assert [f"{file}::{test}" for file, test in named if not test.startswith("test_") or test not in known[file]] == []


def test_every_fault_has_its_tests() -> None:
    faults = [(number, fault) for number, fault in re.findall(r"^\| \[(\d+)\]\(#fault-\1\) \| (.+?) \| .+ \|$", TABLES, re.MULTILINE)]
    shown = [(number, fault) for number, fault in re.findall(r"^### Fault (\d+)\n\n(.+):\n\n- `", LISTS, re.MULTILINE)]
    assert [int(number) for number, _ in faults] == list(range(1, len(faults) + 1))
    assert faults == shown
    assert TABLES.splitlines()[2].startswith(f"{len(faults)} things ")


def test_tests_are_named_by_what_they_promise() -> None:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert [f"{file.name}::{test}" for file in files for test in functions_in(file) if re.match(r"test_[a-z]\d+_", test)] == []
