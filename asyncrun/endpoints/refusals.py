"""Refusals before the first success: the same words again and again are about the endpoint, not about what was sent."""

from __future__ import annotations

import re

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.classify import Verdict
from asyncrun.errors import EndpointError

SAME_REFUSALS = 3
"""So many single texts refused with the same words, and none ever accepted: then it is not the texts."""


class Refusals:
    """Counts refusals of single texts with the same words, numbers in them left out."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def add(self, message: str, verdict: Verdict) -> EndpointError | None:
        """Add a refusal that came before the first success; return the error of a run when it is the endpoint that is wrong."""
        if verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return None
        self._words.append(re.sub(r"[0-9a-f-]{8,}|\d+", "", message))
        if len(self._words) >= SAME_REFUSALS and len(set(self._words[-SAME_REFUSALS:])) == 1:
            return EndpointError(f"{message} (the same for {SAME_REFUSALS} texts, and none was accepted)")
        return None
