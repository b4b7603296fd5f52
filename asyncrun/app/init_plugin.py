"""A package to start a plugin from: a part that works, and tests that hold it to the contract of its port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from asyncrun.errors import OutputError, Place, UsageError, os_words
from asyncrun.humanize import did_you_mean
from asyncrun.plugins import PORT_VERSIONS
from asyncrun.registry import BUILT_IN
from asyncrun.state_folder import write_new


@dataclass(frozen=True, slots=True)
class Starter:
    """A word for what a plugin is: its port, what it is in a sentence, how its name in Python ends, and how it is used."""

    port: str
    what: str
    part: str
    use: str


_OF_A_JOB = "In a job file: `{}`."
STARTERS = {
    "embedder": Starter("embedders", "An embedder", "{}Embedding", _OF_A_JOB.format("embedder: {{provider: {name}, model: words}}")),
    "llm": Starter("llms", "A chat model", "{}Chat", _OF_A_JOB.format("llm: {{provider: {name}, model: m}}")),
    "batches": Starter(
        "batches",
        "The batch endpoint of a provider",
        "{}Batches",
        _OF_A_JOB.format("llm: {{provider: {name}, model: m, delivery: batch}}")
        + " A chat model or an embedder of the same name is asked there.",
    ),
    "reader": Starter("readers", "A reader", "read_{}", _OF_A_JOB.format("input: {{path: notes.txt, format: {name}}}")),
    "chunker": Starter("chunkers", "A chunker", "{}Chunker", _OF_A_JOB.format("chunk: {{by: {name}}}")),
    "store": Starter("stores", "A store", "{}Store", _OF_A_JOB.format("store: {{type: {name}, path: store.file}}")),
    "writer": Starter("writers", "A writer", "{}Writer", _OF_A_JOB.format("output: {{path: rows.txt, format: {name}}}")),
    "kind": Starter("kinds", "A kind of job", "KIND", _OF_A_JOB.format("kind: {name}")),
    "exporter": Starter("exporters", "An exporter of traces", "export_{}", "`asyncrun trace export --format {name}`"),
    "handler": Starter("handlers", "A handler of events", "{}Handler", "`asyncrun run --handlers {name}`, or `ASYNCRUN_HANDLERS={name}`."),
}
"""What `--kind` may say."""


def write_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the package `asyncrun-NAME` into a folder that is not there yet or is empty, and return what was written.

    Raises UsageError for a name or a kind that cannot be, OutputError; nothing is ever written over.
    """
    starter = STARTERS.get(kind)
    if starter is None:
        raise UsageError(f"--kind takes {', '.join(STARTERS)}, not {kind!r}{did_you_mean(kind, STARTERS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"a plugin's name is of small letters, digits and single hyphens, not {name!r}", hint="my-model, for example.")
    if name in BUILT_IN[starter.port]:
        raise UsageError(f"{name!r} is a name of asyncrun's own among the {starter.port}", hint="Choose another one: two cannot share it.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError("is there already", place=Place(str(folder)), hint="Choose another place.")
    written = []
    try:
        for path, text in _package(name, kind, starter).items():
            write_new(folder / path, text)
            written.append(folder / path)
    except OSError as error:
        raise OutputError(f"cannot be written: {os_words(error)}", place=Place(error.filename or str(folder))) from error
    return written


def _package(name: str, kind: str, starter: Starter) -> dict[str, str]:
    """Return the texts of a package by their paths in it."""
    module = f"asyncrun_{name.replace('-', '_')}"
    stem = name.replace("-", "_") if starter.part.endswith("_{}") else "".join(map(str.capitalize, name.split("-")))
    words = {
        "name": name,
        "distribution": f"asyncrun-{name}",
        "module": module,
        "port": starter.port,
        "made_for": f"v{PORT_VERSIONS[starter.port]}",
        "what": starter.what,
        "part": starter.part.format(stem),
        "use": starter.use.format(name=name),
    }
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".github/workflows/ci.yml": "ci.yml",
        f"src/{module}/__init__.py": f"{kind}.py",
        f"tests/test_{name.replace('-', '_')}.py": f"test_{kind}.py",
    }
    home = files("asyncrun.app") / "plugin_package"
    return {path: Template((home / f"{file}.txt").read_text(encoding="utf-8")).substitute(words) for path, file in templates.items()}
