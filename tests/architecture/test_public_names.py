"""Every module can be imported, every name in `__all__` is there, and every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import os
import pickle
import pkgutil
import pydoc
import runpy
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import asyncrun
from asyncrun.embedders import BaseEmbedding, OpenAIEmbedding
from asyncrun.jobs import EmbedJob
from asyncrun.llms import Message
from tests.depth import times


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    found = sorted(module.name for module in pkgutil.walk_packages(asyncrun.__path__, "asyncrun.") if "__main__" not in module.name)
    assert len(found) > 100
    return [asyncrun, *(import_module(name) for name in found if not is_part_of_absent(name))]


@pytest.fixture(scope="module")
def promised() -> dict[str, Any]:
    """Every promised object, by the first of its names."""
    packages = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "public_names.py"))["PACKAGES"]
    objects = {f"{name}.{public}": getattr(import_module(name), public) for name in packages for public in import_module(name).__all__}
    firsts = {id(value): name for name, value in reversed(objects.items())}
    assert len(firsts) > 100
    return {name: value for name, value in objects.items() if firsts[id(value)] == name}


def is_part_of_absent(name: str) -> bool:
    """Tell whether a module is a part for a library that is not installed."""
    libraries = {
        "asyncrun.llama_index": "llama_index",
        "asyncrun.langchain": "langchain_core",
        "asyncrun.postgres_faults": "psycopg",
        "asyncrun.stores.pgvector": "psycopg",
    }
    return any(name.startswith(ours) and importlib.util.find_spec(theirs) is None for ours, theirs in libraries.items())


def test_every_public_name_is_there(modules: list[ModuleType]) -> None:
    for module in modules:
        names = getattr(module, "__all__", ())
        assert [public for public in names if not hasattr(module, public)] == [], module.__name__
        assert len(set(names)) == len(names), module.__name__
        assert set(names) <= set(dir(module)), module.__name__


SCREEN = 60
LONGER = {
    # Everything that can be done with one of these.
    "asyncrun.CallbackManager": 95,
    "asyncrun.LlamaDebugHandler": 90,
    "asyncrun.Report": 75,
    "asyncrun.Store": 85,
    "asyncrun.aio.Limiter": 80,
    "asyncrun.callbacks.TokenCountingHandler": 85,
    "asyncrun.jobs.Builder": 65,
    "asyncrun.jobs.GenerateJob": 70,
    "asyncrun.jobs.QueryJob": 65,
    "asyncrun.llms.Anthropic": 85,
    "asyncrun.llms.ChatModel": 70,
    "asyncrun.llms.OpenAI": 85,
    "asyncrun.stores.SqliteStore": 85,
    "asyncrun.testing.StoreContract": 115,
    # What flags say, and what it means.
    "asyncrun.RunOptions": 85,
    # The words that LlamaIndex has, each with a line.
    "asyncrun.EventPayload": 75,
    # A tuple, with a tuple's methods.
    "asyncrun.errors.Place": 140,
}
"""Lines of help that are more than a screen."""
EMBEDDER = 170
"""An embedder has LlamaIndex's methods, each with and without `await`, and beside them what the engine asks of it."""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="its pydoc gives every parameter a line")
def test_the_help_of_a_class_fits_on_a_screen(promised: dict[str, Any]) -> None:
    classes = {name: value for name, value in promised.items() if inspect.isclass(value)}
    lines = {name: len(pydoc.render_doc(value, renderer=pydoc.plaintext).splitlines()) for name, value in classes.items()}
    most = {name: EMBEDDER if issubclass(value, BaseEmbedding) else LONGER.get(name, SCREEN) for name, value in classes.items()}
    assert {name: count for name, count in lines.items() if count > most[name]} == {}


def test_what_help_leaves_out_works_as_before() -> None:
    assert "model_dump" not in dir(EmbedJob)
    job = EmbedJob(name="a", input="a.jsonl", output="a.npy")
    assert job.model_dump()["name"] == job.name
    assert {"name", "model_dump"} <= set(dir(job))
    assert {"aget_text_embedding", "similarity", "aclose", "__aenter__"} <= set(dir(OpenAIEmbedding))
    assert pickle.loads(pickle.dumps(Message("user", "Hello"))) == Message("user", "Hello")


def test_every_promised_name_has_an_example(promised: dict[str, Any]) -> None:
    # Type aliases and constants have no docstring of their own. What with_retries is called with makes an endpoint: embedders have one.
    made = {name: value for name, value in promised.items() if inspect.isclass(value) or inspect.isroutine(value)}
    del made["asyncrun.aio.with_retries"]
    docs = {name: vars(value)["__doc__"] if inspect.isclass(value) else value.__doc__ for name, value in made.items()}
    assert [name for name, doc in docs.items() if ">>> " not in (doc or "")] == []


def test_every_example_is_true(modules: list[ModuleType]) -> None:
    tried = modules[:: times(quick=4, deep=1)]
    results = {module.__name__: doctest.testmod(module) for module in tried}
    assert sum(result.attempted for result in results.values()) > len(tried) / 4
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
