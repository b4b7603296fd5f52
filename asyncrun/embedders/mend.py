"""Embeds one text that is too long, by the policy: its beginning alone, or equal parts whose mean stands for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from asyncrun.embedders import too_long
from asyncrun.embedders.assemble import no_vectors
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure

Embed = Callable[[Sequence[str]], Awaitable[Embedded]]

MAX_TRIES = 24
"""A text is halved at most this often: 2**24 characters are more than any model takes."""


@dataclass(frozen=True, slots=True)
class Mender:
    """Embeds texts that are too long; `embed` sends whole texts, `prefix` precedes each.

    The answers hold one position, 0: a vector or a failure. Tokenizing a long text takes its time, so it is done in a thread.
    """

    embed: Embed
    prefix: str
    tokenizer: Tokenizer | None
    max_tokens: int | None

    async def truncate(self, text: str, failure: EmbedFailure) -> Embedded:
        """Embed the longest beginning that is known to fit."""
        spent: list[Embedded] = []
        for _ in range(MAX_TRIES):
            text = await asyncio.to_thread(too_long.shortened, text, self.prefix, self.tokenizer, self.max_tokens, failure.message)
            if not text or text.isspace():
                break
            answer = await self.embed([self.prefix + text])
            if not _is_too_long(answer):
                return _with_spent(replace(answer, truncated=frozenset(answer.positions)), spent)
            spent.append(answer)
            failure = answer.failures[0]
        return _with_spent(no_vectors([replace(failure, position=0)]), spent)

    async def split(self, text: str, failure: EmbedFailure) -> Embedded:
        """Embed equal parts, as few as fit, and return their mean, weighted by tokens and of unit length."""
        spent: list[Embedded] = []
        count = await asyncio.to_thread(too_long.parts_needed, text, self.prefix, self.tokenizer, self.max_tokens, failure.message)
        for _ in range(MAX_TRIES):
            parts = await asyncio.to_thread(too_long.equal_parts, text, count, self.tokenizer)
            answer = await self.embed([self.prefix + part for part in parts])
            if not answer.failures:
                mean = too_long.weighted_mean(answer.vectors, too_long.weights(parts, self.tokenizer))
                whole = Embedded(mean, (0,), usage=answer.usage, waits=answer.waits)
                return _with_spent(whole, spent)
            spent.append(answer)
            failure = answer.failures[0]
            if not _is_too_long(answer) or count >= len(text):
                break
            # The cuts of a tokenizer may miss by a token or two; without one the parts are halved.
            count = count + 1 if self.tokenizer is not None else min(count * 2, len(text))
        return _with_spent(no_vectors([replace(failure, position=0)]), spent)


def _is_too_long(answer: Embedded) -> bool:
    return any(failure.reason == "too_long" for failure in answer.failures)


def _with_spent(answer: Embedded, spent: Sequence[Embedded]) -> Embedded:
    """Add what the tries before have used; their vectors and failures are of no account."""
    return replace(
        answer,
        usage=sum((other.usage for other in spent), answer.usage),
        waits=sum((other.waits for other in spent), answer.waits),
    )
