"""Writes the vocabulary and the character table of the local model's tokenizer, from its `tokenizer.json`, by asking `tokenizers`.

    python scripts/minilm_data.py tokenizer.json

It needs the extra `tokenizers`. What it writes is part of the package and stands there by its SHA-256 (asyncrun/embedders/local_model.py).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

FOLDER = Path(__file__).resolve().parents[1] / "asyncrun" / "embedders" / "minilm_data"
SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7A4)


def vocabulary(tokenizer: Tokenizer) -> str:
    """Return the pieces in the order of their numbers, one a line."""
    numbers = tokenizer.get_vocab()
    pieces = sorted(numbers, key=numbers.__getitem__)
    if [numbers[piece] for piece in pieces] != list(range(len(pieces))):
        raise ValueError("the numbers of the pieces have gaps")
    return "".join(f"{piece}\n" for piece in pieces)


def characters(tokenizer: Tokenizer) -> str:
    """Return what the tokenizer makes of every code point, as JSON: removed, parted from its neighbours, or written otherwise."""
    removed, apart, written = [], [], {}
    for code in range(sys.maxunicode + 1):
        if code in SURROGATES:
            continue
        character = chr(code)
        read = tokenizer.normalizer.normalize_str(character)
        alone = (read.startswith(" ") and read.strip() != "") or is_punctuation(tokenizer, read)
        if not read:
            removed.append(code)
        elif read in (character, f" {character} "):
            if alone:
                apart.append(code)
        elif code not in HANGUL:
            written[code] = f" {read.strip()} " if alone else read
    return (
        json.dumps({"removed": ranges(removed), "apart": ranges(apart), "written": written}, ensure_ascii=True, separators=(",", ":"))
        + "\n"
    )


def is_punctuation(tokenizer: Tokenizer, read: str) -> bool:
    """Say whether all of it stands apart within a word. Raises ValueError where a part of it does."""
    found = {len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{character}a")) == 3 for character in read.strip()}
    if len(found) > 1:
        raise ValueError(read)
    return found == {True}


def ranges(codes: Iterable[int]) -> list[list[int]]:
    """Return first and last of what is without a gap."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def main() -> None:
    """Write both files and say their SHA-256."""
    tokenizer = Tokenizer.from_file(sys.argv[1])
    FOLDER.mkdir(exist_ok=True)
    for name, content in {"vocabulary.txt": vocabulary(tokenizer), "characters.json": characters(tokenizer)}.items():
        (FOLDER / name).write_text(content, encoding="utf-8", newline="\n")
        print(hashlib.sha256(content.encode()).hexdigest(), name)


if __name__ == "__main__":
    main()
