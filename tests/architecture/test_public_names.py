"""Every module can be imported, every name in `__all__` is there, and every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import os
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import asyncrun


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    found = sorted(module.name for module in pkgutil.walk_packages(asyncrun.__path__, "asyncrun.") if "__main__" not in module.name)
    assert len(found) > 100
    return [asyncrun, *(importlib.import_module(name) for name in found if not is_part_of_absent(name))]


def is_part_of_absent(name: str) -> bool:
    """Tell whether a module is a part for a library that is not installed."""
    libraries = {"asyncrun.llama_index": "llama_index", "asyncrun.langchain": "langchain_core"}
    return any(name.startswith(ours) and importlib.util.find_spec(theirs) is None for ours, theirs in libraries.items())


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


def signatures(modules: list[ModuleType]) -> Iterator[tuple[str, inspect.Signature]]:
    """Yield the signature of every function, class and method, by its name."""
    for module in modules:
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
        classes = [value for value in own if inspect.isclass(value)]
        members = [member for kind in classes for _, member in inspect.getmembers(kind, inspect.isroutine)]
        for value in (*own, *members):
            if callable(value):
                try:
                    yield f"{module.__name__}.{getattr(value, '__qualname__', value)}", inspect.signature(value)
                except (ValueError, TypeError):
                    continue  # of the interpreter, which tells none


def test_no_signature_shows_the_environment(modules: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """`help()` shows the defaults of arguments, and in the environment there are keys."""
    monkeypatch.setenv("CANARY_API_KEY", "sentinel-of-the-environment")
    found = dict(signatures(modules))
    assert "asyncrun.embedders.provider_classes.OpenAIEmbedding" in found
    assert "asyncrun.llms.openai.OpenAIChat" in found
    secrets = ("sentinel-of-the-environment", os.environ["PATH"])
    assert [name for name, shown in found.items() if any(secret in str(shown) for secret in secrets)] == []
