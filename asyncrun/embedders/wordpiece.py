"""WordPiece as BERT's uncased models use it: exactly what their `tokenizer.json` says, out of a vocabulary and a table of characters."""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence

SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
"""Tokens that a text may spell out; they are found before anything else is done with it."""
UNKNOWN = SPECIAL["[UNK]"]
LONGEST_WORD = 100
"""A longer word, in characters, is unknown as a whole."""
REMEMBERED_WORDS = 50_000
"""Words whose pieces are kept; then all are forgotten, which costs a few milliseconds."""
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_WORD = re.compile("[^ ]+")
_HANGUL = range(0xAC00, 0xD7A4)
_SURROGATES = range(0xD800, 0xE000)


class CharacterTable(dict[int, str]):
    """What the model reads for a code point, as `str.translate` takes it: lower case, without accents, words parted by spaces.

    The table does not depend on the Unicode version of the Python that runs: a text has the same tokens everywhere.

    >>> "Ça\u00a0va?".translate(CharacterTable(b'{"removed": [], "apart": [[63, 63]], "written": {"199": "c", "160": " "}}'))
    'ca va ? '
    """

    def __init__(self, table: bytes) -> None:
        read = json.loads(table)
        super().__init__({int(code): written for code, written in read["written"].items()})
        self._removed: list[tuple[int, int]] = read["removed"]
        self._apart: list[tuple[int, int]] = read["apart"]

    def __missing__(self, code: int) -> str:
        if code in _SURROGATES or _among(code, self._removed):
            written = ""
        else:
            written = unicodedata.normalize("NFD", chr(code)) if code in _HANGUL else chr(code)
            if _among(code, self._apart):
                written = f" {written} "
        self[code] = written
        return written


def _among(code: int, ranges: Sequence[Sequence[int]]) -> bool:
    place = bisect_right(ranges, code, key=lambda item: item[0]) - 1
    return place >= 0 and code <= ranges[place][1]


class WordPiece:
    """Cuts a text into the longest pieces that the vocabulary has; may be shared by threads.

    Args:
        vocabulary: UTF-8, a piece a line; a piece inside of a word begins with `##`. The number of a line is the number of the piece.
        characters: The table of `CharacterTable`, as JSON.
    """

    def __init__(self, vocabulary: bytes, characters: bytes) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary.decode().split("\n")) if piece}
        self._characters = CharacterTable(characters)
        self._known: dict[str, tuple[list[int], list[int]]] = {}

    def ids(self, text: str) -> list[int]:
        """Return the numbers of the tokens, without any that the model adds."""
        found: list[int] = []
        for part in _SPECIAL.split(text):
            if part in SPECIAL:
                found.append(SPECIAL[part])
                continue
            for word in part.translate(self._characters).split(" "):
                if word:
                    found += self._pieces(word)[0]
        return found

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of every token in the text, in characters.

        They are those of the library `tokenizers`, but where accents change places by Unicode's decomposition: it gives their neighbour's.
        """
        found: list[tuple[int, int]] = []
        begin = 0
        for part in _SPECIAL.split(text):
            if part in SPECIAL:
                found.append((begin, begin + len(part)))
            else:
                found += self._offsets(part, begin)
            begin += len(part)
        return found

    def _offsets(self, text: str, begin: int) -> Iterator[tuple[int, int]]:
        written = [self._characters[ord(character)] for character in text]
        read = "".join(written)
        # Where each character that is read comes from.
        origin = range(begin, begin + len(text)) if read == text else [at for at, some in enumerate(written, begin) for _ in some]
        for word in _WORD.finditer(read):
            start = word.start()
            for length in self._pieces(word[0])[1]:
                yield origin[start], origin[start + length - 1] + 1
                start += length

    def _pieces(self, word: str) -> tuple[list[int], list[int]]:
        """Return the numbers of the word's pieces, and how many characters each has."""
        known = self._known.get(word)
        if known is None:
            known = self._cut(word)
            if len(self._known) >= REMEMBERED_WORDS:
                self._known.clear()
            self._known[word] = known
        return known

    def _cut(self, word: str) -> tuple[list[int], list[int]]:
        whole = [UNKNOWN], [len(word)]
        if len(word) > LONGEST_WORD:
            return whole
        numbers: list[int] = []
        lengths: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._numbers.get(word[start:end] if start == 0 else f"##{word[start:end]}")
                if number is not None:
                    break
            else:
                return whole
            numbers.append(number)
            lengths.append(end - start)
            start = end
        return numbers, lengths
