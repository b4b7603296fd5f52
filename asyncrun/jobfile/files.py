"""Files that are read while a job file is loaded, the job file itself and keys, and what can be told of a job file before it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath

from asyncrun.errors import JobFileError, Mistake, Place
from asyncrun.jobfile.mistakes import Findings, suggest, with_lines
from asyncrun.jobfile.yaml_parser import compose
from asyncrun.jobfile.yaml_tree import KeyPath, Listing, Scalar, Table, child, children

MAX_BYTES = 1_000_000
"""The longest job file that is read; a thousand jobs are a tenth of it."""
MAX_KEY_BYTES = 10_000
MAX_NEIGHBOURS = 1000


def load_text(path: Path) -> str:
    """Return the text of a job file. Raises JobFileError when it is no readable text."""
    shown = str(path)
    try:
        if not path.is_file():
            raise _refused(shown, not_a_file(path), neighbour(path, shown))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _refused(shown, f"cannot be read: {_reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise _refused(shown, f"larger than {MAX_BYTES // 1_000_000} MB; is this a job file?")
    return decode_job_file(data, shown)


def decode_job_file(data: bytes, shown: str) -> str:
    """Return the text of some bytes: UTF-8, or UTF-16 where a byte order mark says so. Raises JobFileError."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        what = f"the byte 0x{data[error.start]:02x} is not valid {'UTF-16' if encoding == 'utf-16' else 'UTF-8'}"
        raise JobFileError([Mistake("", what, "text in UTF-8", None, Place(shown, line, column))]) from None


def load_key(path: Path) -> str:
    """Return the key that a file holds. Raises ValueError with what is wrong."""
    try:
        if not path.is_file():
            raise ValueError(not_a_file(path))
        with path.open("rb") as file:
            key = file.read(MAX_KEY_BYTES + 1).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("not a text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {_reason(error)}") from None
    if not key or len(key) > MAX_KEY_BYTES or not key.isascii() or not key.isprintable():
        raise ValueError("the file is empty" if not key else "the file holds no key: one line of printable ASCII is expected")
    return key


def _refused(shown: str, message: str, suggestion: str | None = None) -> JobFileError:
    return JobFileError([Mistake("", message, None, suggestion, Place(shown))])


def read_job_names(path: Path) -> list[str]:
    """Return the names, in the file's order; what is no name is left out. Raises JobFileError when the file cannot be read as YAML."""
    root, _ = compose(load_text(path), str(path))
    jobs = child(root, "jobs") if root is not None else None
    names = (child(item, "name") for item in jobs.items) if isinstance(jobs, Listing) else ()
    return [name.text for name in names if isinstance(name, Scalar)]


def read_store_names(path: Path) -> list[str]:
    """Return the names of the stores, in the file's order. Raises JobFileError when the file cannot be read as YAML."""
    root, _ = compose(load_text(path), str(path))
    stores = child(root, "stores") if root is not None else None
    return [str(name) for name, _ in children(stores)] if isinstance(stores, Table) else []


def is_job_file(path: Path) -> bool:
    """Tell whether a YAML file is a job file, or one of another program; one that is no YAML counts as a job file with mistakes.

    Raises JobFileError when it is no readable text.
    """
    root, mistakes = compose(load_text(path), str(path))
    return bool(mistakes) or child(root, "jobs") is not None


def raise_mistakes(path: Path, found: Sequence[tuple[KeyPath, str]]) -> None:
    """Raise JobFileError for what was found of a job file that has no mistakes of its own: where each stands, and what it is."""
    text = load_text(path)
    root, _ = compose(text, str(path))
    findings = Findings(str(path), root or Table({}, 1, 1))
    for where, message in found:
        findings.add(where, message)
    try:
        findings.raise_all(lambda gap: True)
    except JobFileError as error:
        raise JobFileError(with_lines(error.mistakes, text)) from None


def real(path: Path) -> Path:
    """Return a path without symbolic links and `..`, also where nothing is there."""
    return Path(os.path.realpath(path))


def not_a_file(path: Path) -> str:
    """Return why a path is no file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        return f"cannot be read: {_reason(error)}"
    return "a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file"


def neighbour(path: Path, text: str) -> str | None:
    """Return what was typed with the name of a file that is there; `text` is the path as it was typed."""
    if "$" in PurePath(text).name:
        return None  # The value of a variable is not shown, and not told by a name beside it.
    try:
        with os.scandir(path.parent) as scan:
            name = suggest(path.name, [entry.name for entry in islice(scan, MAX_NEIGHBOURS)])
    except OSError:
        return None
    return str(PurePath(text).with_name(name)) if name and name != path.name else None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "the path is not valid"
