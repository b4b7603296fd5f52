"""What happens to a text before it is sent: which ones never are, and what stands for it in its item key."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.batching.pack import byte_size
from asyncrun.embedders.interface import Empty, TooLong
from asyncrun.records import EmbedFailure

SMALLEST_LIMIT = 256
"""Tokens that every model takes; what is shorter in bytes is never cut, even where the model's own limit is not known."""


def sort_out(texts: Sequence[str], on_empty: Empty) -> tuple[list[int], list[EmbedFailure]]:
    r"""Return the positions of texts that can be sent, and why the others cannot.

    A text of white space alone fails as `empty`, or as `skipped` where the policy says so; half a surrogate pair is not text.

    >>> sort_out(["a", " ", "\ud800"], "skip")[0]
    [0]
    """
    ready, failures = [], []
    for position, text in enumerate(texts):
        if not text or text.isspace():
            reason = "skipped" if on_empty == "skip" else "empty"
            failures.append(EmbedFailure(position, reason, "the text is empty", attempts=0))
        elif not _is_unicode(text):
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


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
