"""Takes parts out of a decoded reply that may have any shape."""

from __future__ import annotations

from typing import Any

from asyncrun.batching.proof import MOST_TOKENS, BadReplyError


def list_of(document: object, *names: str) -> list[Any]:
    """Return the list under these names, one within the other. Raises BadReplyError when there is none.

    >>> list_of({"embeddings": {"float": [[1.0]]}}, "embeddings", "float")
    [[1.0]]
    """
    found = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise BadReplyError(f"the reply has no list of vectors under `{'.'.join(names)}`" if names else "the reply is no list of vectors")
    return found


def count_of(usage: object, *names: str) -> int | None:
    """Return the first whole number under one of these names, None when there is none that a request can have.

    >>> count_of({"prompt_tokens": 2**63, "total_tokens": 3}, "prompt_tokens", "total_tokens")
    3
    """
    counts = (usage.get(name) for name in names) if isinstance(usage, dict) else ()
    return next((count for count in counts if type(count) is int and 0 <= count < MOST_TOKENS), None)


def part_of(document: object, name: str) -> object:
    """Return what stands under a name, None when there is nothing."""
    return document.get(name) if isinstance(document, dict) else None


def text_of(document: object, name: str) -> str | None:
    """Return the text under a name, None when there is none."""
    found = part_of(document, name)
    return found if isinstance(found, str) else None
