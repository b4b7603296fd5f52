"""Every module can be imported, every name in `__all__` is there, and every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import asyncrun

MODULES = [
    "asyncrun",
    *sorted(module.name for module in pkgutil.walk_packages(asyncrun.__path__, "asyncrun.") if "__main__" not in module.name),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", ())
    assert [public for public in names if not hasattr(module, public)] == []
    assert len(set(names)) == len(names)
    assert set(names) <= set(dir(module))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_is_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
