"""What the vendors take in a batch and at once, and what is said of more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.testing.batch_servers.schedule import BatchProblem, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import texts_of

HOUR, DAY = 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class VendorTerms:
    """What a vendor takes, and on which terms; None and infinity: no limit is known.

    `lines`, `size` (bytes) and `inputs` (texts) are those of a batch, `tokens` those of all batches of a model that are not over yet,
    `in_flight` is how many batches may be under way, `waiting` how many requests in them, `creates` how many batches may be made in an
    hour, `window` is in seconds, `kept` how many seconds files or results stay, `price` a part of the price online.
    """

    lines: int
    size: int
    price: float = 0.5
    inputs: int | None = None
    tokens: int | None = None
    in_flight: int | None = None
    waiting: int | None = None
    creates: int | None = None
    window: float = DAY
    kept: float = 30 * DAY


def too_many(terms: VendorTerms, made: int, under_way: Sequence[FakeBatch], lines: int) -> str | None:
    """Return what is said to one batch more, None where it is taken; `made` is how many were in the last hour, `lines` are its own.

    >>> too_many(VendorTerms(lines=10, size=1000, creates=2), 2, [], 1)
    'Rate limit reached: 2 batches an hour.'
    """
    if terms.creates is not None and made >= terms.creates:
        return f"Rate limit reached: {terms.creates} batches an hour."
    if terms.in_flight is not None and len(under_way) >= terms.in_flight:
        return f"Too many batches in flight: {terms.in_flight} are allowed."
    if terms.waiting is not None and sum(len(batch.lines) for batch in under_way) + lines > terms.waiting:
        return f"Too many pending requests: {terms.waiting} are allowed in the queue."
    return None


def tokens_fit(terms: VendorTerms, under_way: Sequence[FakeBatch], model: str, lines: Sequence[FakeLine]) -> bool:
    """Tell whether the tokens of a batch may wait beside those that wait already."""
    waiting = sum(line.tokens for batch in under_way if batch.model == model and not batch.problems for line in batch.lines)
    return terms.tokens is None or waiting + sum(line.tokens for line in lines) <= terms.tokens


def too_much(terms: VendorTerms, lines: Sequence[FakeLine], size: int) -> list[BatchProblem]:
    """Return what of a batch is over the limits of count and size."""
    found = []
    if len(lines) > terms.lines:
        found.append(BatchProblem("too_many_tasks", f"The number of requests in the batch exceeds the limit of {terms.lines}."))
    if size > terms.size:
        found.append(BatchProblem("file_too_large", f"The batch is larger than {terms.size} bytes."))
    inputs = sum(len(texts_of(line.path, line.document)) for line in lines)
    if terms.inputs is not None and inputs > terms.inputs:
        found.append(BatchProblem("too_many_inputs", f"The batch has {inputs} inputs, more than the {terms.inputs} that are allowed."))
    return found
