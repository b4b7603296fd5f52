"""Formats of files, as the endings of their names say them, the path that is no file (`-`), and the lines of a file of ids."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePath

from asyncrun.escape import printable

STDIN = "-"
"""The path that stands for standard input."""
STDOUT = "-"
"""The path that stands for standard output."""
LANGUAGES = {
    **{".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript"},
    **{".ts": "typescript", ".tsx": "typescript", ".go": "go", ".rs": "rust", ".java": "java", ".kt": "kotlin", ".scala": "scala"},
    **{".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hh": "c++", ".hpp": "c++", ".cs": "c#", ".swift": "swift"},
    **{".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua", ".r": "r", ".jl": "julia", ".ex": "elixir", ".exs": "elixir"},
    **{".erl": "erlang", ".hs": "haskell", ".clj": "clojure", ".dart": "dart", ".sh": "shell", ".bash": "shell", ".zsh": "shell"},
    **{".ps1": "powershell", ".sql": "sql", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".xml": "xml"},
    **{".css": "css", ".scss": "scss", ".vue": "vue", ".svelte": "svelte", ".proto": "protobuf", ".graphql": "graphql", ".tf": "hcl"},
}
"""Endings of source code, and its language."""
INPUTS = {
    **dict.fromkeys((*LANGUAGES, ".rst", ".adoc", ".org", ".tex", ".log", ".ini", ".cfg", ".conf", ".srt", ".vtt"), "text"),
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text", ".text": "text"},
    **dict.fromkeys((".md", ".markdown", ".mdx"), "markdown"),
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx"},
    **{".ipynb": "ipynb", ".eml": "eml", ".mbox": "mbox"},
    **dict.fromkeys((".xlsx", ".pptx", ".epub", ".rtf", ".odt"), "kreuzberg"),
}
"""Format of an input, after the ending of a compression."""
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
ENCODED = frozenset({"text", "markdown", "html", "lines", "jsonl", "csv", "tsv"})
"""Formats of text, whose encoding can be stated; others say it themselves."""
DELIMITED = frozenset({"csv", "tsv"})
OUTPUTS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv", ".npy": "npy"}
"""Format of an output."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTE_ORDER_MARK = "\ufeff"


def input_format(path: str) -> str | None:
    """Return the format that an input's ending names, None for an unknown ending.

    >>> input_format("notes.JSONL.gz"), input_format("notes")
    ('jsonl', None)
    """
    return INPUTS.get(_ending(path))


def language_of(path: str) -> str | None:
    """Return the language of source code by its ending, None for other files.

    >>> language_of("src/main.rs"), language_of("notes.txt")
    ('rust', None)
    """
    return LANGUAGES.get(_ending(path))


def _ending(path: str) -> str:
    endings = [ending.lower() for ending in PurePath(path).suffixes]
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    return endings[-1] if endings else ""


def is_encoding(name: str) -> bool:
    """Tell whether Python reads texts in an encoding of this name.

    >>> is_encoding("utf-16"), is_encoding("windows-1252"), is_encoding("base64"), is_encoding("klingon")
    (True, True, False, False)
    """
    try:
        "".encode(name)
        return codecs.lookup(name).incrementaldecoder is not None
    except (LookupError, ValueError):
        return False


def find_zstd() -> str | None:
    """Return the module that reads `.zst`, Python's own from 3.14, None where it is not installed."""
    if sys.version_info >= (3, 14):
        return "compression.zstd" if find_spec("_zstd") else None
    return "backports.zstd" if find_spec("backports") and find_spec("backports.zstd") else None


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


def part_path(path: str, part: str) -> str:
    """Return where the rows of a part of the items go, given where all would.

    >>> part_path("out/notes.parquet", ".limit-10")
    'out/notes.limit-10.parquet'
    """
    pure = PurePath(path)
    return str(pure.with_name(f"{pure.stem}{part}{pure.suffix}"))
