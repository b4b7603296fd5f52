"""What the fake server answers to texts: their vectors, in OpenAI's form, or why it does not take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.testing.dialects import error_body
from asyncrun.testing.vectors import base64_of, vector_of


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """What it takes: texts at once, tokens of a text and of a request; `takes_base64` is whether it knows `encoding_format`."""

    max_items: int
    max_input_tokens: int
    max_request_tokens: int
    takes_base64: bool


def embeddings_reply(document: Mapping[str, Any], texts: Sequence[str], size: int, limits: EmbeddingLimits) -> tuple[int, Any]:
    """Return status and JSON of the reply to a request, vectors of so many numbers; an error is bytes.

    >>> embeddings_reply({"model": "m"}, ["a"], 8, EmbeddingLimits(1, 10, 10, takes_base64=True))[1]["usage"]
    {'prompt_tokens': 1, 'total_tokens': 1}
    """
    tokens = [tokens_of(text) for text in texts]
    if "encoding_format" in document and not limits.takes_base64:
        return 400, error_body("Unknown parameter: 'encoding_format'.", code="unknown_parameter")
    if len(texts) > limits.max_items:
        return 400, error_body(f"Invalid 'input': array too long. Expected at most {limits.max_items} items.")
    for place, text in enumerate(texts):
        if not text:
            return 400, error_body(f"Invalid 'input[{place}]': input cannot be an empty string.")
        if tokens[place] > limits.max_input_tokens:
            return 400, error_body(f"Invalid 'input[{place}]': maximum input length is {limits.max_input_tokens} tokens.")
    if sum(tokens) > limits.max_request_tokens:
        message = f"Requested {sum(tokens)} tokens, max {limits.max_request_tokens} tokens per request"
        return 400, error_body(message, kind="max_tokens_per_request", code="max_tokens_per_request")
    base64 = document.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": base64_of(text, size) if base64 else vector_of(text, size).tolist()}
        for place, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
    return 200, {"object": "list", "model": document["model"], "data": data, "usage": usage}


def tokens_of(text: str) -> int:
    """Return what the server counts a text for: a token is four bytes of UTF-8.

    >>> tokens_of("a text")
    2
    """
    return -(-len(text.encode()) // 4)
