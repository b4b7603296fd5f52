"""Draws two maps of the package, floor by floor: its folders in README.md, each module with its first line in docs/modules.md.

The floors are those of pyproject.toml.

Usage: `python scripts/module_map.py` draws both maps, `--check` says whether they are up to date (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

BEGIN, END = "<!-- module map -->", "<!-- /module map -->"
PACKAGE = "asyncrun"


class MapError(Exception):
    """The map cannot be drawn: one sentence says why."""


def floors(root: Path) -> list[list[str]]:
    """Return the floors from the top down, each with its modules, as the import contract states them."""
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip(" ()") for name in layer.replace(":", "|").split("|")] for layer in layers]


def first_line(module: Path) -> str:
    """Return the first docstring line of a module. Raises MapError when it has none."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    if not docstring:
        raise MapError(f"{module}: no docstring; its first line should say what lives there")
    return docstring.splitlines()[0]


def folders(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the number of every floor that has folders, with their names; the modules beside them are told in one row."""
    ordered = floors(root)
    for number, names in enumerate(ordered):
        found = [f"{name}/" for name in names if (root / PACKAGE / name).is_dir()]
        if found:
            yield f"{len(ordered) - 1 - number:2}", "  ".join(found)
    yield "  ", "and modules beside the folders, which those above them share"


def modules(root: Path) -> Iterator[tuple[str, str]]:
    """Yield a name and a sentence for every folder and every module in it, floor by floor."""
    ordered = floors(root)
    for number, names in enumerate(ordered):
        for name in names:
            place = root / PACKAGE / name
            label = f"{len(ordered) - 1 - number:2} {name}"
            if not place.is_dir():
                yield f"{label}.py", first_line(place.with_suffix(".py"))
                continue
            yield f"{label}/", first_line(place / "__init__.py")
            for module in sorted(place.rglob("*.py")):
                if module != place / "__init__.py":
                    yield f"     {module.relative_to(place).as_posix().removesuffix('/__init__.py')}", first_line(module)


PAGES = {"README.md": folders, "docs/modules.md": modules}
"""The pages that show a map, and the rows of it."""


def render_map(table: Iterable[tuple[str, str]]) -> str:
    """Return a map as a block of Markdown, the markers included."""
    table = list(table)
    width = max(len(name) for name, _ in table) + 2
    lines = [f"{name:{width}}{sentence}" for name, sentence in table]
    return "\n".join([BEGIN, "```text", *lines, "```", END])


def with_map(page: Path, block: str) -> str:
    """Return the page with the block in the place between its markers. Raises MapError when the markers are not there."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise MapError(f"{page.name} has no {BEGIN} ... {END}")
    return before + block + after


def main() -> int:
    """Draw the maps, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a map is out of date")
    check = parser.parse_args().check
    root = Path(__file__).resolve().parents[1]
    try:
        wanted = {root / name: with_map(root / name, render_map(rows(root))) for name, rows in PAGES.items()}
    except MapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = {page: text for page, text in wanted.items() if page.read_text(encoding="utf-8") != text}
    for page, text in stale.items():
        if check:
            sys.stderr.write(f"{page.name}: the module map is out of date; run: python scripts/module_map.py\n")
        else:
            page.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
