"""Token counts where the model's tokenizer is not known: the safe bound, since no tokenizer makes more tokens than UTF-8 bytes."""

from __future__ import annotations


class ByteTokenizer:
    """Counts every UTF-8 byte as a token.

    >>> ByteTokenizer().count("naïve")
    6
    """

    added = 0

    def count(self, text: str) -> int:
        """Return the number of bytes."""
        return len(text.encode())

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the place of the character of each byte."""
        return [(start, start + 1) for start, character in enumerate(text) for _ in character.encode()]
