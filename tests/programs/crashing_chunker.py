"""A chunker that crashes its process over a text that says so."""

import ctypes

from asyncrun.chunkers.sentence_chunker import SentenceChunker


class Crashing(SentenceChunker):
    """Reads where nothing may be read."""

    def __call__(self, text):
        """Cut the text, or crash."""
        if "poison" in text:
            ctypes.string_at(0)
        return super().__call__(text)
