"""Tokens as the fake batch servers count them: those of a request that waits, and those of a reply that is billed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncrun.testing.dialects import dialect_of, request_texts
from asyncrun.testing.embeddings import tokens_of


def texts_of(path: str, document: Any) -> list[str]:
    """Return the texts of an embedding request, none for a request that is another one."""
    try:
        return [] if dialect_of(path, document) is None else [text for text in request_texts(document) if isinstance(text, str)]
    except (TypeError, KeyError, AttributeError):
        return []


def tokens_of_line(path: str, document: Any) -> int:
    """Return the tokens of a request's input, as they count towards what may be enqueued."""
    if texts := texts_of(path, document):
        return sum(map(tokens_of, texts))
    messages = document.get("messages") if isinstance(document, Mapping) else None
    return sum(len(str(message.get("content")).split()) for message in messages or [] if isinstance(message, Mapping))


def tokens_used(body: Any, otherwise: int) -> tuple[int, int]:
    """Return the tokens of input and of output that a reply tells of; `otherwise` are those of the input where it does not.

    >>> tokens_used({"usage": {"prompt_tokens": 3, "completion_tokens": 2}}, 0), tokens_used([], 7)
    ((3, 2), (7, 0))
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return otherwise, 0
    spent = next((usage[name] for name in ("prompt_tokens", "input_tokens", "total_tokens") if name in usage), otherwise)
    received = next((usage[name] for name in ("completion_tokens", "output_tokens") if name in usage), 0)
    return int(spent), int(received)
