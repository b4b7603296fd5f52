"""Ours as parts of LlamaIndex; it is imported when one of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncrun.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from asyncrun.llama_index.embedding import AsyncrunEmbedding

__all__ = ["AsyncrunEmbedding"]

OLDEST, TESTED = (0, 12), (0, 14)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    installed = _check_version()
    try:
        from asyncrun.llama_index import embedding
    except ImportError as error:
        tested = ".".join(map(str, TESTED))
        raise UsageError(
            f"asyncrun.llama_index cannot use llama-index-core {installed}: {error}",
            hint=f"It is tested up to {tested}: pip install 'llama-index-core=={tested}.*', or update asyncrun.",
        ) from error
    return getattr(embedding, name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _check_version() -> str:
    """Return the version of LlamaIndex. Raises MissingExtraError without it, UsageError where it is too old."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("llama-index-core")
    except PackageNotFoundError as error:
        raise MissingExtraError(
            "asyncrun.llama_index needs LlamaIndex, which is not installed", hint="Install it: pip install 'asyncrun[llama-index]'."
        ) from error
    numbers = tuple(int(part) for part in installed.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"asyncrun.llama_index needs llama-index-core {oldest} or newer, and {installed} is installed",
            hint=f"Update it: pip install 'llama-index-core>={oldest}'.",
        )
    return installed
