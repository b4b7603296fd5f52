"""Formats of files, as the endings of their names say them, and the path that is no file: `-`."""

from __future__ import annotations

from pathlib import Path, PurePath

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
