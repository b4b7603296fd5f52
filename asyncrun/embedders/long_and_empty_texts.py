"""What becomes of texts that cannot be sent as they are: empty and broken ones are set aside, too long ones cut, or split and averaged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Empty, TooLong, no_vectors
from asyncrun.endpoints.classify import stated_sizes
from asyncrun.escape import is_utf8
from asyncrun.packing import byte_size
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure

if TYPE_CHECKING:
    from asyncrun.records import Vectors

Embed = Callable[[Sequence[str]], Awaitable[Embedded]]

SMALLEST_LIMIT = 256
"""Tokens that every model takes; what is shorter in bytes is never cut, even where the model's own limit is not known."""
MAX_TRIES = 24
"""A text is halved at most this often: 2**24 characters are more than any model takes."""


def find_sendable(texts: Sequence[str], on_empty: Empty) -> tuple[list[int], list[EmbedFailure]]:
    r"""Return the positions of texts that can be sent, and why the others cannot.

    A text of white space alone fails as `empty`, or as `skipped` where the policy says so; half a surrogate pair is not text.

    >>> find_sendable(["a", " ", "\ud800"], "skip")[0]
    [0]
    """
    ready, failures = [], []
    for position, text in enumerate(texts):
        if not text or text.isspace():
            reason = "skipped" if on_empty == "skip" else "empty"
            failures.append(EmbedFailure(position, reason, "the text is empty", attempts=0))
        elif not is_utf8(text):
            failures.append(EmbedFailure(position, "bad_text", "the text holds half a surrogate pair, which is not Unicode", attempts=0))
        else:
            ready.append(position)
    return ready, failures


def key_text(sent: str, on_too_long: TooLong, max_tokens: int | None) -> str:
    """Return what stands for a text in its item key.

    A text that fits is the same whatever the policy is. One that may not fit (the bytes of UTF-8 bound the tokens from above)
    is marked with the policy that would change its vector, so that a cut and a split text are never taken for each other or for the whole.

    >>> key_text("short", "split", 256)
    'short'
    """
    limit = max_tokens or SMALLEST_LIMIT
    if on_too_long == "fail" or byte_size(sent) <= limit:
        return sent
    return f"\x00{on_too_long}:{max_tokens or ''}\x00{sent}"


@dataclass(frozen=True, slots=True)
class LongTexts:
    """Embeds texts that are too long; `embed` sends whole texts, `prefix` precedes each.

    The answers hold one position, 0: a vector, a failure, or nothing where an error ended it. Tokenizing a long text takes its time, so it
    is done in a thread.
    """

    embed: Embed
    prefix: str
    tokenizer: Tokenizer | None
    max_tokens: int | None

    async def truncate(self, text: str, failure: EmbedFailure) -> Embedded:
        """Embed the longest beginning that is known to fit."""
        spent: list[Embedded] = []
        for _ in range(MAX_TRIES):
            text = await asyncio.to_thread(cut_to_fit, text, self.prefix, self.tokenizer, self.max_tokens, failure.message)
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
        count = await asyncio.to_thread(parts_needed, text, self.prefix, self.tokenizer, self.max_tokens, failure.message)
        for _ in range(MAX_TRIES):
            parts = await asyncio.to_thread(equal_parts, text, count, self.tokenizer)
            answer = await self.embed([self.prefix + part for part in parts])
            if answer.error is not None:
                # Vectors of pieces stand for nothing.
                return _with_spent(no_vectors((), answer.usage, answer.waits, answer.error), spent)
            if not answer.failures:
                mean = weighted_mean(answer.vectors, weights(parts, self.tokenizer))
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


def parts_needed(text: str, prefix: str, tokenizer: Tokenizer | None, max_tokens: int | None, message: str) -> int:
    """Return how many equal parts to try first: from the tokenizer, else from the server's words, else two."""
    if tokenizer is not None and max_tokens is not None:
        room = max(max_tokens - (tokenizer.count(prefix) if prefix else tokenizer.added), 1)
        return max(-(-(tokenizer.count(text) - tokenizer.added) // room), 2)
    sizes = stated_sizes(message)
    return max(-(-sizes[0] // sizes[1]), 2) if sizes else 2


def cut_to_fit(text: str, prefix: str, tokenizer: Tokenizer | None, max_tokens: int | None, message: str) -> str:
    """Return a beginning of the text that fits, or that is nearer to fitting: a server's words may have to be asked for again.

    >>> cut_to_fit("abcdefgh", "", None, None, "input is too long")
    'abcd'
    """
    if tokenizer is not None and max_tokens is not None:
        room = max(max_tokens - (tokenizer.count(prefix) if prefix else tokenizer.added), 1)
        ends = [end for _, end in tokenizer.offsets(text)]
        if len(ends) > room:
            return text[: ends[room - 1]]
    sizes = stated_sizes(message)
    # 5 % less than the server's proportion, because tokens are not spread evenly over a text.
    keep = min(0.95 * sizes[1] / sizes[0], 0.95) if sizes else 0.5
    return text[: int(len(text) * keep)]


def equal_parts(text: str, count: int, tokenizer: Tokenizer | None) -> list[str]:
    """Return the text in `count` parts, equal in tokens (in characters where there is no tokenizer), none of them empty.

    >>> equal_parts("abcdefgh", 3, None)
    ['ab', 'cde', 'fgh']
    """
    if tokenizer is None:
        cuts = [len(text) * part // count for part in range(count + 1)]
    else:
        starts = [start for start, _ in tokenizer.offsets(text)]
        cuts = [0, *(starts[len(starts) * part // count] for part in range(1, count) if starts), len(text)]
    parts = [text[start:end] for start, end in pairwise(cuts)]
    return [part for part in parts if part and not part.isspace()]


def weights(parts: Sequence[str], tokenizer: Tokenizer | None) -> list[int]:
    """Return what each part counts in the mean: its tokens, or its bytes where there is no tokenizer."""
    if tokenizer is None:
        return [byte_size(part) for part in parts]
    return [max(tokenizer.count(part) - tokenizer.added, 1) for part in parts]


def weighted_mean(vectors: Vectors, weighing: Sequence[int]) -> Vectors:
    """Return the mean of the rows, weighted, of unit length, as one row.

    >>> weighted_mean(np.array([[1, 0], [0, 1]], np.float32), [4, 3]).astype(float).round(1).tolist()
    [[0.8, 0.6]]
    """
    mean = np.average(vectors.astype(np.float64), axis=0, weights=weighing)
    length = float(np.linalg.norm(mean))
    return (mean / length if length else mean).astype(np.float32)[None, :]
