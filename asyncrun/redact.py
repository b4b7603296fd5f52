"""Secrets out of texts: one redactor knows the run's secrets and the common shapes of others."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SHAPES = (
    (re.compile(r"(?i)(authorization\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',;]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(r"(?i)((?:x-)?(?:goog-)?api[-_]?key[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]+"), rf"\1{MASK}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]+(?::[^/\s@]*)?@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)([?&](?:key|token|api_key|access_token|sig|signature)=)[^&\s#]+"), rf"\1{MASK}"),
    (re.compile(r"\b(?:sk|pk|hf|al|pa|gsk|jina|hk)[-_][A-Za-z0-9_-]{16,}"), MASK),
)


class Redactor:
    """Replaces secrets by `***`.

    >>> Redactor(["hunter2hunter2"]).redact("key hunter2hunter2 refused")
    'key *** refused'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret that contains another leaves nothing behind; under 4 characters would mask words.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text
