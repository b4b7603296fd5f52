"""Names of a package that load on use, so that importing the package costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def load_on_use(
    package: str, names: Mapping[str, Sequence[str]], renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package; `names` are those of each of its modules, `__all__` is what is listed.

    A name in `renamed` is there under the one that it has now, with a DeprecationWarning.

    >>> load, _ = load_on_use("asyncrun", {"errors": ["Place"]})
    >>> load("Place").__name__
    'Place'
    """
    homes = {name: module for module, its in names.items() for name in its}

    def load(name: str) -> Any:
        if renamed and name in renamed:
            import warnings

            now = renamed[name]
            warnings.warn(f"{package}.{name} is {package}.{now} now", DeprecationWarning, stacklevel=2)
            name = now
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def listed() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return load, listed
