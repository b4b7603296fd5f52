"""Every module can be imported, every name in `__all__` is there, and every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import asyncrun


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    found = sorted(module.name for module in pkgutil.walk_packages(asyncrun.__path__, "asyncrun.") if "__main__" not in module.name)
    assert len(found) > 100
    return [asyncrun, *map(importlib.import_module, found)]


def test_every_public_name_is_there(modules: list[ModuleType]) -> None:
    for module in modules:
        names = getattr(module, "__all__", ())
        assert [public for public in names if not hasattr(module, public)] == [], module.__name__
        assert len(set(names)) == len(names), module.__name__
        assert set(names) <= set(dir(module)), module.__name__


def test_every_example_is_true(modules: list[ModuleType]) -> None:
    results = {module.__name__: doctest.testmod(module) for module in modules}
    assert sum(result.attempted for result in results.values()) > 100
    assert [name for name, result in results.items() if result.failed] == []
