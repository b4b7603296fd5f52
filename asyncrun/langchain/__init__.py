"""Ours as parts of LangChain; it is imported when one of them is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asyncrun.errors import MissingExtraError

if TYPE_CHECKING:
    from asyncrun.langchain.embeddings import AsyncrunEmbeddings

__all__ = ["AsyncrunEmbeddings"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        embeddings = import_module("asyncrun.langchain.embeddings")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "asyncrun.langchain needs LangChain, which is not installed", hint="Install it: pip install 'asyncrun[langchain]'."
        ) from error
    return getattr(embeddings, name)


def __dir__() -> list[str]:
    return sorted(__all__)
