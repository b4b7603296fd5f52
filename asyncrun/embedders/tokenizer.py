"""Tokenizers, by name or from a `tokenizer.json`: they count, place and number tokens, without loading a model."""

from __future__ import annotations

import json
import re
import threading
from array import array
from collections.abc import Callable, Iterator
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
REMEMBERED_WORDS = 100_000
"""Words whose counts are kept, about 12 MB; then all are forgotten."""
LONGEST_REMEMBERED = 64
"""Characters of a word that is kept: longer ones seldom come again."""
PIECE = 32_768
"""Characters tokenized at once: the encoding of a whole book takes hundreds of megabytes."""
# White space to Python, and nothing at all to BERT's tokenizers: what stands on both sides of it is one word to them.
_UNSEEN = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
_UNSEEN_INSIDE = re.compile(rf"\S[{_UNSEEN}]+\S")


class WordCounts(dict[str, int]):
    """Tokens by word, counted when first asked for; may be shared by threads.

    >>> WordCounts(len).of("one two").tolist()
    [3, 3]
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, word: str) -> int:
        tokens = self._count(word)
        if len(word) <= LONGEST_REMEMBERED:
            if len(self) >= REMEMBERED_WORDS:
                self.clear()
            self[word] = tokens
        return tokens

    def of(self, text: str) -> array[int] | None:
        """Return the tokens of each word of `text.split()`; None where a word is parted by what the model does not see."""
        if any(character in text for character in _UNSEEN) and _UNSEEN_INSIDE.search(text):
            return None
        counts = array("q")
        for _, piece in pieces(text):
            counts.extend(map(self.__getitem__, piece.split()))
        return counts


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


class MiniLMTokenizer:
    """Tokenizes as the local model does, from files of this package, loaded when first used; may be shared by threads.

    A text is tokenized in pieces that end before a white space, where no token of the model (WordPiece over words) can be cut.
    """

    added = 2  # [CLS] and [SEP]

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: WordPiece | None = None
        self._words = WordCounts(lambda word: len(self._wordpiece().ids(word)))

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

    def word_counts(self, text: str) -> array[int] | None:
        """Return the tokens of each word, None where a word of the text has white space inside that the model does not see.

        >>> MiniLMTokenizer().word_counts("hello embeddings").tolist()
        [1, 4]
        """
        return self._words.of(text)

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

    A text is tokenized in pieces that end before a white space. A copy, as in another process, has the content of the file with it.
    """

    def __init__(self, path: Path) -> None:
        self.__setstate__(path.read_text(encoding="utf-8"))

    def __getstate__(self) -> str:
        return self._loaded.to_str()

    def __setstate__(self, content: str) -> None:
        check_address_space("a tokenizer", TOKENIZER_ADDRESS_SPACE)
        import tokenizers

        self._loaded = tokenizers.Tokenizer.from_str(content)
        # A file may come with a truncation and with padding up to it.
        self._loaded.no_truncation()
        self._loaded.no_padding()
        self.added = self._loaded.num_special_tokens_to_add(is_pair=False)
        self._words = WordCounts(lambda word: len(self._encode(word).ids)) if _ends_at_space(self._loaded) else None

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, the added ones included."""
        return self.added + sum(len(self._encode(piece).ids) for _, piece in pieces(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, in characters, without the added ones."""
        return [(begin + start, begin + end) for begin, piece in pieces(text) for start, end in self._encode(piece).offsets]

    def word_counts(self, text: str) -> array[int] | None:
        """Return the tokens of each word; None where tokens may reach over white space."""
        return None if self._words is None else self._words.of(text)

    def _encode(self, text: str) -> tokenizers.Encoding:
        try:
            return self._loaded.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            # Half a surrogate pair is not text; a character of the same width keeps the offsets right.
            return self._loaded.encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), add_special_tokens=False)


def _ends_at_space(loaded: tokenizers.Tokenizer) -> bool:
    """Tell whether no token reaches over white space, whatever the text: so it is in the models that are made as BERT was."""
    read = json.loads(loaded.to_str())
    kinds = [(read[part] or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")]
    plain = all(
        not token["lstrip"] and not token["rstrip"] and token["content"].split() == [token["content"]] for token in read["added_tokens"]
    )
    return plain and kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]


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
