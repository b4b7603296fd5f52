"""Formats of files, as the endings of their names say them, the path that is no file (`-`), and the lines of a file of ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from asyncrun.escape import printable

STDIN = "-"
"""The path that stands for standard input."""
STDOUT = "-"
"""The path that stands for standard output."""
INPUTS = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown"},
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx"},
}
"""Format of an input, after the ending of a compression."""
COMPRESSIONS = (".gz", ".bz2", ".xz")
OUTPUTS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv", ".npy": "npy"}
"""Format of an output."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTE_ORDER_MARK = "\ufeff"


def input_format(path: str) -> str | None:
    """Return the format that an input's ending names, None for an unknown ending.

    >>> input_format("notes.JSONL.gz"), input_format("notes")
    ('jsonl', None)
    """
    endings = [ending.lower() for ending in PurePath(path).suffixes]
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    return INPUTS.get(endings[-1]) if endings else None


def output_format(path: str) -> str | None:
    """Return the format that an output's ending names, None for an unknown ending.

    >>> output_format("out/vectors.jsonl"), output_format("vectors")
    ('jsonl', None)
    """
    return OUTPUTS.get(PurePath(path).suffix.lower())


def ids_path(path: Path) -> Path:
    """Return where the ids of an .npy file stand.

    >>> ids_path(Path("out/notes.npy")).as_posix()
    'out/notes.ids.txt'
    """
    return path.with_name(f"{path.stem}.ids.txt")


def id_line(name: str) -> str:
    r"""Return the line that stands for an id.

    It is the id itself. One that is empty, has blanks around it, holds a line break or another control character of any kind, or begins
    with a quotation mark or a byte order mark is a JSON string in ASCII.

    >>> print(id_line("notes/7.md"), id_line("two\nlines"))
    notes/7.md "two\nlines"
    """
    import json  # on use: every command imports this module for `-`

    plain = name and name == name.strip() and name == printable(name) and name[0] not in ('"', _BYTE_ORDER_MARK)
    return name if plain else json.dumps(name)


def parse_ids(text: str) -> Iterator[str]:
    r"""Yield the ids of such a file; blank lines and blanks around an id do not count. What is no whole JSON string is an id as it is.

    >>> list(parse_ids('notes/7.md\n"two\\nlines"\n'))
    ['notes/7.md', 'two\nlines']
    """
    for line in _LINE_END.split(text.removeprefix(_BYTE_ORDER_MARK)):
        if stripped := line.strip():
            yield _unquoted(stripped) if stripped.startswith('"') else stripped


def _unquoted(line: str) -> str:
    import json

    try:
        return str(json.loads(line))
    except ValueError:
        return line
