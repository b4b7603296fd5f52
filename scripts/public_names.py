"""Write tests/architecture/public_names.txt: every public name with its signature, so that a change of one is seen; `--check` compares.

What is promised is what stands in `__all__` of the packages below. Types are left out: a type checker compares those.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

PACKAGES = (
    "asyncrun",
    "asyncrun.aio",
    "asyncrun.callbacks",
    "asyncrun.embedders",
    "asyncrun.errors",
    "asyncrun.jobs",
    "asyncrun.llms",
    "asyncrun.stores",
    "asyncrun.testing",
)
SNAPSHOT = Path(__file__).resolve().parents[1] / "tests" / "architecture" / "public_names.txt"
BARE = inspect.Parameter.empty


def promised(package: ModuleType) -> list[str]:
    """Return what a package promises."""
    return list(package.__all__)


def signature(value: Any) -> str:
    """Return the parameters of a callable with their defaults; empty for what tells none, as a protocol.

    >>> signature(signature)
    '(value)'
    """
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [each.replace(annotation=BARE, default=_shown(each.default)) for each in found.parameters.values()]
    return str(found.replace(parameters=parameters, return_annotation=BARE))


def described(value: object) -> str:
    """Return what stands behind a name: parameters, or the value of a constant.

    >>> described("start"), described(1.5)
    (" = 'start'", ' = 1.5')
    """
    if isinstance(value, str | int | float):
        return f" = {value!r}"
    if get_origin(value) is Literal:
        return f" = {' | '.join(map(repr, get_args(value)))}"
    if inspect.isclass(value) and (issubclass(value, Enum) or getattr(value, "_is_protocol", False)):
        return ""  # What these can be called with is the interpreter's.
    return signature(value) if inspect.isclass(value) or inspect.isfunction(value) else ""


class _Words:
    """A default, as it is written down."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words


def _shown(default: object) -> object:
    """Return a default whose words are the same everywhere: objects without a value of their own are `...`."""
    return default if default is BARE or (" at 0x" not in repr(default) and "<" not in repr(default)) else _Words("...")


def members(kind: type, public: set[type]) -> Iterator[str]:
    """Yield the public methods and attributes of a class, without those of a public class that it is derived from."""
    yield from (f".{name}: of the job file" for name in getattr(kind, "model_fields", ()))
    seen = {"model_config"}
    for base in kind.__mro__:
        if not base.__module__.startswith("asyncrun") or (base in public and base is not kind):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(value, classmethod | staticmethod) or inspect.isfunction(value):
                yield f".{name}{signature(getattr(kind, name))}"
            else:
                yield f".{name}"


def snapshot() -> str:
    """Return the text of the snapshot."""
    packages = {name: importlib.import_module(name) for name in PACKAGES}
    objects = {f"{name}.{public}": getattr(package, public) for name, package in packages.items() for public in promised(package)}
    public = {value for value in objects.values() if inspect.isclass(value)}
    lines, told = list[str](), dict[int, str]()
    for name, value in objects.items():
        if id(value) in told and callable(value):
            lines.append(f"{name} = {told[id(value)]}")
            continue
        told[id(value)] = name
        lines.append(name + described(value))
        if inspect.isclass(value):
            lines.extend(f"{name}{member}" for member in sorted(members(value, public)))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the snapshot, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the file is not up to date")
    text = snapshot()
    if not parser.parse_args().check:
        SNAPSHOT.write_text(text, encoding="utf-8")
        return 0
    was = SNAPSHOT.read_text(encoding="utf-8").splitlines() if SNAPSHOT.exists() else []
    now = text.splitlines()
    gone, new = [line for line in was if line not in set(now)], [line for line in now if line not in set(was)]
    if gone or new:
        for sign, changed in (("-", gone), ("+", new)):
            print(*(f"{sign} {line}" for line in changed), sep="\n", file=sys.stderr)
        print("Public names have changed. If that is meant: python scripts/public_names.py, and see docs/deprecation.md.", file=sys.stderr)
    return int(was != now)


if __name__ == "__main__":
    sys.exit(main())
