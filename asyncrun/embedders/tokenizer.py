"""Tokenizers, by name or from a `tokenizer.json`: they count, place and number tokens, without loading a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun.embedders.local_model import CHARACTERS, MODEL_NAME, VOCABULARY, check_address_space
from asyncrun.embedders.wordpiece import SPECIAL, WordPiece
from asyncrun.errors import ArgumentError, MissingExtraError, ResourceError
from asyncrun.escape import printable
from asyncrun.ports import Tokenizer

if TYPE_CHECKING:
    import tokenizers

TOKENIZER_ADDRESS_SPACE = 400_000_000
"""Bytes that a tokenizer and the threads around it may take beside what is taken already; measured, and rounded up."""
PIECE = 32_768
"""Characters tokenized at once: the encoding of a whole book takes hundreds of megabytes."""


class MiniLMTokenizer:
    """Tokenizes as the local model does, from files of this package, loaded when first used; may be shared by threads.

    A text is tokenized in pieces that end before a white space, where no token of the model (WordPiece over words) can be cut.
    """

    added = 2  # [CLS] and [SEP]

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: WordPiece | None = None

    def __reduce__(self) -> tuple[type[MiniLMTokenizer], tuple[()]]:
        # Of a copy, as with a handler that counts with it: the files are read anew.
        return type(self), ()

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included. Raises StorageError when the files are not the right ones.

        >>> MiniLMTokenizer().count("hello world")
        4
        """
        wordpiece = self._wordpiece()
        return self.added + sum(len(wordpiece.ids(piece)) for _, piece in pieces(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, in characters, without the added ones.

        >>> MiniLMTokenizer().offsets("hello world")
        [(0, 5), (6, 11)]
        """
        wordpiece = self._wordpiece()
        return [(begin + start, begin + end) for begin, piece in pieces(text) for start, end in wordpiece.offsets(piece)]

    def ids(self, text: str, limit: int) -> tuple[list[int], bool]:
        """Return the numbers of the tokens as the model reads them, at most `limit` with the added ones, and whether some were left out.

        >>> MiniLMTokenizer().ids("hello world", 256)
        ([101, 7592, 2088, 102], False)
        """
        wordpiece = self._wordpiece()
        room = limit - self.added
        found: list[int] = []
        for _, piece in pieces(text):
            found += wordpiece.ids(piece)
            if len(found) > room:
                break
        return [SPECIAL["[CLS]"], *found[:room], SPECIAL["[SEP]"]], len(found) > room

    def _wordpiece(self) -> WordPiece:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = WordPiece(VOCABULARY.read(), CHARACTERS.read())
        return self._loaded


class FileTokenizer:
    """Tokenizes as a `tokenizer.json` says, with the library `tokenizers`; may be shared by threads.

    A text is tokenized in pieces that end before a white space.
    """

    def __init__(self, path: Path) -> None:
        check_address_space("a tokenizer", TOKENIZER_ADDRESS_SPACE)
        import tokenizers

        self._loaded = tokenizers.Tokenizer.from_file(str(path))
        # A file may come with a truncation and with padding up to it.
        self._loaded.no_truncation()
        self._loaded.no_padding()
        self.added = self._loaded.num_special_tokens_to_add(is_pair=False)

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included."""
        return self.added + sum(len(self._encode(piece).ids) for _, piece in pieces(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, in characters, without the added ones."""
        return [(begin + start, begin + end) for begin, piece in pieces(text) for start, end in self._encode(piece).offsets]

    def _encode(self, text: str) -> tokenizers.Encoding:
        try:
            return self._loaded.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            # Half a surrogate pair is not text; a character of the same width keeps the offsets right.
            return self._loaded.encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), add_special_tokens=False)


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

    Raises ArgumentError for a name that nobody knows and a path where no tokenizer is, MissingExtraError for a path without the extra
    `tokenizers`.
    """
    if name == MODEL_NAME:
        return MiniLMTokenizer()
    path = Path(name).expanduser()
    if not name.endswith(".json"):
        raise ArgumentError(f"no tokenizer is named {name!r}", hint=f"Name {MODEL_NAME}, or the path of the model's tokenizer.json.")
    if not path.is_file():
        raise ArgumentError(f"there is no tokenizer at {path}", hint="Correct the path of the embedder's tokenizer.")
    try:
        return FileTokenizer(path)
    except ResourceError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"{path} needs the extra 'tokenizers', which is not installed", hint="Install it: pip install 'asyncrun[tokenizers]'."
        ) from error
    except Exception as error:  # the library knows no other class
        raise ArgumentError(
            f"{path} is no tokenizer: {printable(str(error), 100)}", hint="Take the tokenizer.json of the model."
        ) from error
