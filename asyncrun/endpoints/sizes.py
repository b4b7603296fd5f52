"""What a server's message tells of sizes."""

from __future__ import annotations

import re

# Seen: "maximum context length is 8192 tokens, however you requested 9001 tokens" (OpenAI), "less than 512 tokens. Given: 700" (TEI).
_TOKENS = re.compile(r"(\d[\d,]*)\s*tokens|given:?\s*(\d[\d,]*)", re.IGNORECASE)


def told_sizes(message: str) -> tuple[int, int] | None:
    """Return (tokens of the text, tokens allowed) where a server's message tells both.

    >>> told_sizes("`inputs` must have less than 512 tokens. Given: 700")
    (700, 512)
    """
    numbers = {int("".join(found).replace(",", "")) for found in _TOKENS.findall(message)} - {0}
    return (max(numbers), min(numbers)) if len(numbers) > 1 else None
