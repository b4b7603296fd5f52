"""How a ledger's spaces are told: how many vectors and answers each has, and how much room they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.results import SpaceSize
from asyncrun.ui.formatting import render_size
from asyncrun.ui.json_documents import document
from asyncrun.ui.ledger_reports import describe_space, name_space


def render_sizes(sizes: Sequence[SpaceSize]) -> str:
    """Return a line for each space, the largest first, and one for all.

    >>> print(render_sizes([SpaceSize("1f", '{"model":"m","provider":"openai"}', 1000, 1_500_000)]))
         vectors   answers      size  space
           1,000         0    1.5 MB  model m, provider openai
    """
    if not sizes:
        return "the ledger is empty"
    rows = [(f"{size.vectors:,}", f"{size.answers:,}", render_size(size.bytes), name_space(size)) for size in sizes]
    if len(sizes) > 1:
        vectors, answers = sum(size.vectors for size in sizes), sum(size.answers for size in sizes)
        rows.append((f"{vectors:,}", f"{answers:,}", render_size(sum(size.bytes for size in sizes)), "all"))
    head = ("vectors", "answers", "size", "space")
    return "\n".join(f"{vectors:>12}  {answers:>8}  {size:>8}  {name}" for vectors, answers, size, name in [head, *rows])


def sizes_document(sizes: Sequence[SpaceSize]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    spaces = [
        {
            "space": describe_space(size),
            "fingerprint": size.fingerprint,
            "vectors": size.vectors,
            "answers": size.answers,
            "bytes": size.bytes,
        }
        for size in sizes
    ]
    return document(spaces=spaces)
