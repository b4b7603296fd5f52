"""The import contract holds, and a wrong import breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_every_import_goes_to_a_floor_below() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_floors_of_contributing_are_those_of_the_contract() -> None:
    [layers] = re.findall(r"(?ms)^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = [set(floor.split(" | ")) for floor in re.findall(r'"(.*?)"', layers)][::-1]
    rows = re.findall(r"(?m)^\| (\d+)(?: (?:and|to) (\d+))? \| (`.*?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    told = [(int(low or high), int(high), set(re.findall(r"`(\w+)(?:/|\.py)`", names))) for high, low, names in rows]
    assert [number for low, high, _ in told for number in range(high, low - 1, -1)] == list(range(len(floors)))[::-1]
    assert [names for *_, names in told] == [set().union(*floors[low : high + 1]) for low, high, _ in told]


WRONG = {
    "errors": "asyncrun.cli",
    "records": "asyncrun.registry",
    "stores/interface": "asyncrun.embedders.interface",
    "jobs/__init__": "asyncrun.runner",
    "runner": "rich",
}


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy of the package with wrong imports, and with a module that has no floor."""
    copy = tmp_path_factory.mktemp("spoiled")
    shutil.copytree(ROOT / "asyncrun", copy / "asyncrun", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, wrong in WRONG.items():
        file = copy / "asyncrun" / f"{module}.py"
        file.write_text(f"{file.read_text(encoding='utf-8')}\nimport {wrong}\n", encoding="utf-8")
    (copy / "asyncrun" / "attic.py").write_text('"""Things that found no room."""\n', encoding="utf-8")
    checked = lint(copy)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return " ".join(checked.stdout.split())


def test_every_wrong_import_breaks_the_contract(spoiled: str) -> None:
    for module, wrong in WRONG.items():
        importer = "asyncrun." + module.removesuffix("/__init__").replace("/", ".")
        assert f"{importer} -> {wrong} " in spoiled


def test_a_module_without_a_floor_breaks_the_contract(spoiled: str) -> None:
    assert "attic" in spoiled
