"""Texts longer than the model takes: cutting them, or splitting them into equal parts and averaging."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.batching.pack import byte_size
from asyncrun.endpoints.sizes import told_sizes
from asyncrun.ports import Tokenizer

if TYPE_CHECKING:
    from asyncrun.records import Vectors


def parts_needed(text: str, prefix: str, tokenizer: Tokenizer | None, max_tokens: int | None, message: str) -> int:
    """Return how many equal parts to try first: from the tokenizer, else from the server's words, else two."""
    if tokenizer is not None and max_tokens is not None:
        room = max(max_tokens - (tokenizer.count(prefix) if prefix else tokenizer.added), 1)
        return max(-(-(tokenizer.count(text) - tokenizer.added) // room), 2)
    sizes = told_sizes(message)
    return max(-(-sizes[0] // sizes[1]), 2) if sizes else 2


def shortened(text: str, prefix: str, tokenizer: Tokenizer | None, max_tokens: int | None, message: str) -> str:
    """Return a beginning of the text that fits, or that is nearer to fitting: a server's words may have to be asked for again.

    >>> shortened("abcdefgh", "", None, None, "input is too long")
    'abcd'
    """
    if tokenizer is not None and max_tokens is not None:
        room = max(max_tokens - (tokenizer.count(prefix) if prefix else tokenizer.added), 1)
        ends = [end for _, end in tokenizer.offsets(text)]
        if len(ends) > room:
            return text[: ends[room - 1]]
    sizes = told_sizes(message)
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
