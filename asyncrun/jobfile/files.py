"""The files that a job file names: the job file itself, inputs, lists, keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from asyncrun.errors import JobFileError, Mistake, Place
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.findings import Findings, near
from asyncrun.jobfile.globs import any_file, base_of, beside, is_glob, matches, neighbours
from asyncrun.jobfile.input import Input
from asyncrun.jobfile.later import Names, format_of
from asyncrun.jobfile.model import absolute
from asyncrun.jobfile.tree import Path as Steps

MAX_BYTES = 1_000_000
"""The longest job file that is read; a thousand jobs are a tenth of it."""
MAX_KEY_BYTES = 10_000


def load_text(path: Path, shown: str) -> str:
    """Return the text of a job file. Raises JobFileError when it is no readable text."""
    try:
        if not path.is_file():
            raise _refused(shown, _not_a_file(path), _guess(path, shown))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _refused(shown, f"cannot be read: {_reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise _refused(shown, f"larger than {MAX_BYTES // 1_000_000} MB; is this a job file?")
    return decode(data, shown)


def decode(data: bytes, shown: str) -> str:
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
            raise ValueError(_not_a_file(path))
        with path.open("rb") as file:
            key = file.read(MAX_KEY_BYTES + 1).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("not a text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {_reason(error)}") from None
    if not key or len(key) > MAX_KEY_BYTES or not key.isascii() or not key.isprintable():
        raise ValueError("the file is empty" if not key else "the file holds no key: one line of printable ASCII is expected")
    return key


def check_inputs(entry: JobEntry, root: Path, written: frozenset[Path], names: Names, findings: Findings) -> None:
    """Every input of a job is there, unless another job writes it."""
    if entry.job is None:
        return
    given = entry.job.input
    stated = findings.node(entry.path("input"))
    for position, text in enumerate(given.paths):
        path = _input_path(entry, position, stated is not None, findings)
        if text == "-" or findings.knows(path):
            continue
        found = format_of(text)
        if given.format == "auto" and found is not None and found not in names.built("readers"):
            findings.add_gap("part", path, f"reading {found} is not in this version yet", ", ".join(names.built("readers")))
            continue
        problem = _problem(text, absolute(root, text), given, written, names)
        if problem is not None:
            findings.add(path, *problem)
        elif given.format == "auto" and found is None and not is_glob(text):
            allowed = f"a mapping with path and format: {', '.join(names.built('readers'))}"
            findings.add(path, "the ending of the path names no format", allowed)
    if entry.job.skip and not absolute(root, entry.job.skip).is_file() and not findings.knows(entry.path("skip")):
        skip = absolute(root, entry.job.skip)
        findings.add(entry.path("skip"), _not_a_file(skip), "a file with one id a line", _guess(skip, entry.job.skip))


def _problem(text: str, place: Path, given: Input, written: frozenset[Path], names: Names) -> tuple[str, str | None, str | None] | None:
    """Return what is wrong with an input, what is allowed, and what was probably meant; None when it is there."""
    try:
        if Path(os.path.realpath(place)) in written:
            return None
        mode = place.stat().st_mode
    except (OSError, ValueError):
        mode = None
    if mode is not None:
        if stat.S_ISDIR(mode):
            return "a folder", f"files of it, such as {text.rstrip('/')}/**/*.md", None
        if not stat.S_ISREG(mode):
            return "not a regular file", "a file, or '-' for standard input", None
        return None if os.access(place, os.R_OK) else ("cannot be read: no permission", "a file that this user may read", None)
    if not is_glob(text):
        return _not_a_file(place), None, _guess(place, text)
    if (
        given.allow_empty
        or any_file(place, lambda name: given.format != "auto" or format_of(name) in names.built("readers"))
        or any(matches(place, path) for path in written)
    ):
        return None
    base = base_of(place)
    what = "no file matches" if base.is_dir() else f"no file matches: there is no folder {base.name!r}"
    return what, "a path or glob with a match, or allow_empty: true", None


def _input_path(entry: JobEntry, position: int, stated: bool, findings: Findings) -> Steps:
    """Return where the text of an input stands: the input has three forms, and each path or list of paths two."""
    base = entry.path("input")
    for path in ((*base, "path", position), (*base, "path"), (*base, position)):
        if findings.node(path) is not None:
            return path
    return base


def _refused(shown: str, message: str, suggestion: str | None = None) -> JobFileError:
    return JobFileError([Mistake("", message, None, suggestion, Place(shown))])


def _not_a_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        return f"cannot be read: {_reason(error)}"
    return "a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file"


def _guess(path: Path, text: str) -> str | None:
    name = near(path.name, neighbours(path))
    return beside(text, name) if name and name != path.name else None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "the path is not valid"
