"""Make the page `library-reference.md` of the site from docstrings: every public name with its parameters and its example.

A hook of mkdocs: the page is made when the site is built, so that it is never behind. `python scripts/library_reference.py` prints it.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

sys.path.insert(0, str(Path(__file__).parent))
from public_names import PACKAGES, described, members, promised

PAGE = "library-reference.md"
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Examples?):$")
ENTRY = re.compile(r"^ {4}(?P<name>[*\w`][*\w, `]*): (?P<text>.*)$")


def markdown(doc: str) -> Iterator[str]:
    r"""Yield a docstring line by line as Markdown: sections as lists, examples fenced.

    >>> list(markdown("Adds.\n\nArgs:\n    one: A number.\n\n>>> 1 + 1\n2"))
    ['Adds.', '', '**Args**', '', '- `one`: A number.', '', '```pycon', '>>> 1 + 1', '2', '```']
    """
    fenced = False
    for line in doc.splitlines():
        if fenced and not line.strip():
            yield "```"
            fenced = False
        if not fenced and line.lstrip().startswith(">>>"):
            yield "```pycon"
            fenced = True
        if fenced:
            yield line
        elif SECTION.match(line):
            yield f"**{line[:-1]}**"
            yield ""
        elif entry := ENTRY.match(line):
            yield f"- `{entry['name'].strip('`')}`: {escaped(entry['text'])}"
        else:
            yield ("  " if line.startswith(" " * 8) else "") + escaped(line.strip())
    if fenced:
        yield "```"


def escaped(text: str) -> str:
    """Return text in which nothing but code is marked up: a `<` begins no tag, a `*` no emphasis."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<_\[])", r"\\\1", part) for part in parts)


def entry(name: str, value: Any, public: set[type]) -> Iterator[str]:
    """Yield the lines of one name."""
    yield f"### {name}"
    yield ""
    yield f"```python\n{name}{described(value)}\n```"
    yield ""
    if inspect.isclass(value) or inspect.isroutine(value):
        yield from markdown(inspect.getdoc(value) or "")
        yield ""
    methods = [member for member in members(value, public) if "(" in member] if inspect.isclass(value) else []
    for member in sorted(methods):
        method = getattr(value, member[1:].partition("(")[0])
        first = (inspect.getdoc(method) or "").partition("\n")[0]
        yield f"- `{member[1:]}`: {escaped(first)}"
    yield ""


def page() -> str:
    """Return the page."""
    packages = {name: importlib.import_module(name) for name in PACKAGES}
    objects = {package: {name: getattr(module, name) for name in promised(module)} for package, module in packages.items()}
    public = {value for names in objects.values() for value in names.values() if inspect.isclass(value)}
    lines = ["# The library, name by name", "", "Made from the docstrings. What these names promise: [deprecation.md](deprecation.md)."]
    homes = dict[int, str]()
    for package, names in objects.items():
        lines += ["", f"## {package}", "", escaped((packages[package].__doc__ or "").partition("\n")[0]), ""]
        again = [name for name, value in names.items() if id(value) in homes]
        if again:
            lines += [f"Also, from above: {', '.join(f'`{name}`' for name in again)}.", ""]
        for name in names.keys() - set(again):
            homes[id(names[name])] = package
        for name in sorted(names.keys() - set(again), key=str.lower):
            lines += entry(name, names[name], public)
    return "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those of the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


if __name__ == "__main__":
    print(page(), end="")
