"""The package stays one that a newcomer can read: small files, small functions, tests where their module is, a map that is true."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("asyncrun", "scripts", "tests") for path in (ROOT / folder).rglob("*.py"))
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "asyncrun")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    """Return the modules that a file imports, wherever in the file."""
    names: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(names)


def test_no_file_is_over_500_lines() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 500} == {}


def test_no_function_is_over_60_lines() -> None:
    functions = (
        (f"{name_of(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert {name: size for name, size in functions if size > 60} == {}


def test_every_module_says_in_its_first_line_what_lives_there() -> None:
    first_lines = {name_of(path): (ast.get_docstring(parsed(path)) or "").partition("\n")[0] for path in PACKAGE}
    assert [name for name, line in first_lines.items() if not line.endswith(".")] == []


def test_nobody_imports_click() -> None:
    """Typer keeps Click as a private copy: a second one beside it would be another library with the same names."""
    private = [
        name_of(path) for path in SOURCES for name in imported(path) if name.partition(".")[0] == "click" or name.startswith("typer._click")
    ]
    assert private == []


def test_only_ui_knows_rich_and_only_cli_knows_typer() -> None:
    folders = {"rich": "ui", "typer": "cli"}
    strangers = [
        f"{name_of(path)} imports {name}"
        for path in PACKAGE
        for name in imported(path)
        if (folder := folders.get(name.partition(".")[0])) and path.relative_to(ROOT / "asyncrun").parts[0] != folder
    ]
    assert strangers == []


def is_program(text: str) -> bool:
    try:
        return text.count("\n") > 3 and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(textwrap.dedent(text)).body)
    except SyntaxError:
        return False


def test_programs_that_tests_run_are_files() -> None:
    """Those of `tests/programs` are formatted, checked and renamed with the rest; unit tests run none."""
    folders = [ROOT / "tests" / name for name in ("acceptance", "architecture", "cli", "integration")]
    texts = (
        (f"{name_of(path)}:{node.lineno}", node.value)
        for path in SOURCES
        if any(path.is_relative_to(folder) for folder in folders)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    assert [place for place, text in texts if is_program(text)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "unit").rglob("test_*.py")), ids=name_of)
def test_a_unit_test_stands_where_its_module_stands(path: Path) -> None:
    """`tests/unit/<folder>/test_<module>.py`; on one matter: `test_<module>_<matter>.py`; on all of it: `test_<folder>_<matter>.py`."""
    place = ROOT / "asyncrun" / path.parent.relative_to(ROOT / "tests" / "unit")
    words = path.stem.removeprefix("test_").split("_")
    stems = {"_".join(words[:count]) for count in range(1, len(words) + 1)}
    modules = {module.stem.lstrip("_") for module in place.glob("*.py")} | {folder.parent.name for folder in place.glob("*/__init__.py")}
    assert stems & {*modules, place.name}, f"no module of {name_of(place)} belongs to {path.name}"


def test_the_module_maps_are_up_to_date() -> None:
    checked = subprocess.run([sys.executable, ROOT / "scripts" / "module_map.py", "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_contributing_guide_names_every_folder_and_is_short() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [folder.name for folder in (ROOT / "asyncrun").iterdir() if (folder / "__init__.py").exists()]
    assert [name for name in folders if f"`{name}/" not in guide] == []
    assert len(guide.encode()) <= 12 * 1024
