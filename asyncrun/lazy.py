"""Names of a package that load on use, so that importing the package costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_on_use(package: str, homes: Mapping[str, str], renamed: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package; `homes` says in which of its modules a name lives.

    A name in `renamed` is there under the one that it has now, with a DeprecationWarning.

    >>> load_on_use("asyncrun", {"Place": "errors"})("Place").__name__
    'Place'
    """

    def load(name: str) -> Any:
        if renamed and name in renamed:
            import warnings

            now = renamed[name]
            warnings.warn(f"{package}.{name} is {package}.{now} now", DeprecationWarning, stacklevel=2)
            name = now
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return load
