"""A named space that a new place serves: a text whose vector is known is sent there first, and must come back as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Embedder
from asyncrun.errors import SpaceMismatchError
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.ledgered import Pending, embed_batch
from asyncrun.kinds.tally import Tally
from asyncrun.ledger.ledger import other_size
from asyncrun.ledger.notes import add_places, places
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.records import Vectors

LEAST_COSINE = 0.999
"""Two servers of one model round differently, and no more than that."""
Known = tuple[Pending, "Vectors"]


def is_new_place(embedder: Embedder, input_type: InputType, context: JobContext) -> bool:
    """Tell whether the embedder has a named space that others have served and its own place has not. Blocks."""
    space = embedder.space(input_type)
    if not space.name:
        return False
    seen = places(context.ledger, space)
    return bool(seen) and embedder.place not in seen


async def check_place(
    embedder: Embedder, input_type: InputType, find_known: Callable[[], Known | None], context: JobContext, tally: Tally
) -> None:
    """Compare a text whose vector is known with what a new place makes of it; the first place of a space is only remembered.

    `find_known` blocks. Raises SpaceMismatchError when the vectors point apart, and what the embedder raises.
    """
    space = embedder.space(input_type)
    if not space.name:
        return
    seen = await asyncio.to_thread(places, context.ledger, space)
    if embedder.place in seen:
        return
    if seen:
        known = await asyncio.to_thread(find_known)
        if known is None:
            tally.say([f"{embedder.place} is new to the space {space.name}, and no text of the input is known there: nothing was compared"])
            return
        await _compare(known, embedder, input_type, context, tally)
    await add_places(context.ledger, space, [embedder.place])


async def _compare(known: Known, embedder: Embedder, input_type: InputType, context: JobContext, tally: Tally) -> None:
    text, vector = known
    answer = await embed_batch([text], embedder, input_type, context, keep=False)
    tally.use(answer.usage)
    if answer.positions and len(answer.vectors[0]) != len(vector):
        raise other_size(len(answer.vectors[0]), len(vector))
    found = cosine(answer.vectors[0], vector) if answer.positions else 0.0
    if found < LEAST_COSINE:
        name = embedder.space(input_type).name
        raise SpaceMismatchError(
            f"{embedder.place} makes another vector of a known text than the space {name} has (cosine {found:.3f})",
            hint="Give the embedder a space of its own, or correct its model or base_url.",
        )


def cosine(one: Vectors, other: Vectors) -> float:
    """Return the cosine of two vectors of one size.

    >>> round(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])), 3)
    0.707
    """
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
