"""Tokenizers, by name or from a `tokenizer.json`: they count, place and number tokens, without loading a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun.embedders.local_model import MODEL_NAME, TOKENIZER, check_address_space
from asyncrun.errors import ArgumentError, ResourceError
from asyncrun.escape import printable
from asyncrun.ports import Tokenizer

if TYPE_CHECKING:
    import tokenizers

TOKENIZER_ADDRESS_SPACE = 400_000_000
"""Bytes that a tokenizer and the threads around it may take beside what is taken already; measured, and rounded up."""
PIECE = 32_768
"""Characters tokenized at once: the encoding of a whole book takes hundreds of megabytes."""


class FileTokenizer:
    """Tokenizes as a `tokenizer.json` says, loaded when first used; may be shared by threads.

    A text is tokenized in pieces that end before a white space, where no token of the model (WordPiece over words) can be cut.
    """

    def __init__(self, find: Callable[[], Path] = TOKENIZER.find) -> None:
        self.added = 2  # [CLS] and [SEP]
        self._find = find
        self._loading = threading.Lock()
        self._loaded: tokenizers.Tokenizer | None = None

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included. Raises StorageError when the file cannot be loaded.

        >>> FileTokenizer().count("hello world")
        4
        """
        return self.added + sum(len(self._encode(piece).ids) for _, piece in pieces(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, in characters, without the added ones.

        >>> FileTokenizer().offsets("hello world")
        [(0, 5), (6, 11)]
        """
        return [(begin + start, begin + end) for begin, piece in pieces(text) for start, end in self._encode(piece).offsets]

    def ids(self, text: str, limit: int) -> tuple[list[int], bool]:
        """Return the numbers of the tokens as the model reads them, at most `limit` with the added ones, and whether some were left out."""
        room = limit - self.added
        found: list[int] = []
        for _, piece in pieces(text):
            found += self._encode(piece).ids
            if len(found) > room:
                break
        first, last = self._tokenizer().encode("").ids
        return [first, *found[:room], last], len(found) > room

    def special_tokens(self) -> int:
        """Return how many tokens the model adds to every text, as the file says."""
        return self._tokenizer().num_special_tokens_to_add(is_pair=False)

    def _encode(self, text: str) -> tokenizers.Encoding:
        try:
            return self._tokenizer().encode(text, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            # Half a surrogate pair is not text; a character of the same width keeps the offsets right.
            return self._tokenizer().encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), add_special_tokens=False)

    def _tokenizer(self) -> tokenizers.Tokenizer:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    check_address_space("a tokenizer", TOKENIZER_ADDRESS_SPACE)
                    import tokenizers

                    loaded = tokenizers.Tokenizer.from_file(str(self._find()))
                    # The file ships with a truncation to 128 tokens and padding up to it.
                    loaded.no_truncation()
                    loaded.no_padding()
                    self._loaded = loaded
        return self._loaded


def pieces(text: str, size: int = PIECE) -> Iterator[tuple[int, str]]:
    """Yield the text in pieces with their starts; each ends before a white space and has at least `size` characters if the text goes on.

    >>> list(pieces("one two three", 4))
    [(0, 'one two'), (7, ' three')]
    """
    start = 0
    while start < len(text):
        end = start + size
        while end < len(text) and not text[end].isspace():
            end += 1
        yield start, text[start:end]
        start = end


def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a name. Blocks while a file is read.

    >>> load_tokenizer("all-MiniLM-L6-v2").count("hello world")
    4

    Raises ArgumentError for a name that nobody knows and a path where no tokenizer is.
    """
    if name == MODEL_NAME:
        return FileTokenizer()
    path = Path(name).expanduser()
    if not name.endswith(".json"):
        raise ArgumentError(f"no tokenizer is named {name!r}", hint=f"Name {MODEL_NAME}, or the path of the model's tokenizer.json.")
    if not path.is_file():
        raise ArgumentError(f"there is no tokenizer at {path}", hint="Correct the path of the embedder's tokenizer.")
    tokenizer = FileTokenizer(lambda: path)
    try:
        tokenizer.added = tokenizer.special_tokens()
    except ResourceError:
        raise
    except Exception as error:  # the library knows no other class
        raise ArgumentError(
            f"{path} is no tokenizer: {printable(str(error), 100)}", hint="Take the tokenizer.json of the model."
        ) from error
    return tokenizer
