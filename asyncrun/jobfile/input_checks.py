"""A job's input: its globs and templates can be read, and its files are there, before anything is sent."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from asyncrun.errors import StorageError, UsageError
from asyncrun.grammar.file_formats import DELIMITED, ENCODED, STDIN, find_zstd, input_format
from asyncrun.grammar.globs import Glob, is_glob, parse_exclude, parse_glob
from asyncrun.grammar.template import parse_template
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import neighbour, not_a_file, real
from asyncrun.jobfile.input_output import InputConfig
from asyncrun.jobfile.job_file import absolute
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.unavailable import Names
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar


def check_patterns(entry: JobEntry, root: Path, findings: Findings) -> None:
    """Every glob and template of a job can be read."""
    job = entry.job
    if job is None:
        return
    given = job.input
    for position, text in enumerate(given.paths):
        if is_glob(text) and find_glob(text, root) is None:
            _refuse_pattern(input_path(entry, position, findings), findings)
    for position, text in enumerate(given.exclude):
        if not _excludes(text, root):
            _refuse_pattern(_one_of(entry.path("input", "exclude"), position, findings), findings)
    for key in ("text", "id"):
        path = entry.path("input", key)
        if not _is_template(getattr(given, key)) and not findings.knows(path):
            allowed = "a field such as text, or a template such as '{title}. {text}'; {{ and }} are braces"
            findings.add(path, f"not a template{findings.quoted(path)}: a brace or a name of a field is missing", allowed)


def find_glob(text: str, root: Path) -> Glob | None:
    """Return the glob of a path, its folder without symbolic links; None where it cannot be read."""
    try:
        glob = parse_glob(text, root)
    except UsageError:
        return None
    return replace(glob, folder=os.path.realpath(glob.folder))


def parse_excluded(given: InputConfig, root: Path) -> Callable[[str], bool]:
    """Return what tells whether an absolute path is left out of an input; patterns that cannot be read leave out nothing."""
    return parse_exclude(tuple(text for text in given.exclude if _excludes(text, root)), real(root))


def is_of_any_kind(text: str) -> bool:
    """Tell whether a glob takes files whatever they are called, as `docs/**/*` does."""
    return is_glob(text) and not PurePath(text).name.strip("*")


def is_whole_folder(text: str, root: Path) -> bool:
    """Tell whether a glob takes whatever lies beside the job file, as `**/*` does."""
    glob = find_glob(text, root) if is_of_any_kind(text) else None
    return glob is not None and real(root).is_relative_to(glob.folder)


def input_matcher(given: InputConfig, root: Path, without: Callable[[str], bool] = lambda _: False) -> Callable[[Path], bool]:
    """Return what tells whether a real path, there or not yet, is one of an input; globs that `without` says yes to do not count."""
    named = {real(root / text) for text in given.paths if text != STDIN}
    patterns = [text for text in given.paths if is_glob(text) and not without(text)]
    globs = [glob for text in patterns if (glob := find_glob(text, root)) is not None]
    excluded = parse_excluded(given, root)
    return lambda path: (path in named or any(glob.covers(str(path)) for glob in globs)) and not excluded(str(path))


def taken_outputs(given: InputConfig, root: Path) -> Callable[[Path], bool]:
    """Return what tells whether an input takes what another job writes: not by a glob for whatever lies beside the job file."""
    return input_matcher(given, root, lambda text: is_whole_folder(text, root))


def input_path(entry: JobEntry, position: int, findings: Findings) -> KeyPath:
    """Return where the text of an input stands: the input has three forms, and each path or list of paths two."""
    base = entry.path("input")
    for path in ((*base, "path", position), (*base, "path"), (*base, position)):
        if findings.node(path) is not None:
            return path
    return base


def _one_of(path: KeyPath, position: int, findings: Findings) -> KeyPath:
    return (*path, position) if findings.node((*path, position)) is not None else path


def _excludes(text: str, root: Path) -> bool:
    try:
        parse_exclude((text,), root)
    except UsageError:
        return False
    return True


def _is_template(text: str) -> bool:
    try:
        return all(parse_template(text).fields)
    except UsageError:
        return False


def _refuse_pattern(path: KeyPath, findings: Findings) -> None:
    if not findings.knows(path):
        findings.add(path, f"the pattern{findings.quoted(path)} cannot be used: it has a range that ends before it begins", "[a-z]")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What counts as an input of a job: files whose format is known or stated, and what other jobs write."""

    given: InputConfig
    root: Path
    written: frozenset[Path]
    names: Names

    def takes(self, name: str) -> bool:
        return self.given.format != "auto" or self.names.knows("readers", input_format(name))


def check_inputs(entry: JobEntry, root: Path, written: frozenset[Path], names: Names, findings: Findings) -> None:
    """Every input of a job is there, unless another job writes it."""
    if entry.job is None:
        return
    given = entry.job.input
    for position, text in enumerate(given.paths):
        path = input_path(entry, position, findings)
        if text == STDIN or findings.knows(path):
            continue
        found = input_format(text)
        if given.format == "auto" and given.sql is None and found is not None and not names.knows("readers", found):
            findings.add_gap("part", path, f"reading {found} is not in this version yet", ", ".join(names.built("readers")))
            continue
        node = findings.node(path)
        typed = node.text if isinstance(node, Scalar) else text
        problem = None if real(root / text) in written else _problem(text, typed, root, _Wanted(given, root, written, names))
        if problem is not None:
            message, allowed, suggestion = problem
            findings.add(path, f"{typed!r}: {message}", allowed, suggestion)
        elif given.format == "auto" and given.sql is None and found is None and not is_glob(text):
            allowed = f"a mapping with path and format: {', '.join(names.built('readers'))}"
            findings.add(path, "the ending of the path names no format", allowed)
    if entry.job.skip is not None:
        _check_skip(absolute(root, entry.job.skip), entry.path("skip"), findings)


def _read_as(path: str) -> str | None:
    return "jsonl" if path == STDIN else None if is_glob(path) else input_format(path)


def check_reading(entry: JobEntry, findings: Findings) -> None:
    """What the input says of its files is of use for their format, as far as that is known."""
    given = entry.job.input if entry.job is not None else None
    if given is None:
        return
    formats = {given.format} if given.format != "auto" else {_read_as(path) for path in given.paths}
    for key, fitting in (("encoding", ENCODED), ("delimiter", DELIMITED)):
        path = entry.path("input", key)
        if getattr(given, key) is not None and not findings.knows(path) and None not in formats and not formats & fitting:
            read = ", ".join(sorted(filter(None, formats))) or "items in place"
            findings.add(path, f"{read}: it is not used", f"one for {', '.join(sorted(fitting))}", key=True)
    if find_zstd() is None:
        for position, text in enumerate(given.paths):
            path = input_path(entry, position, findings)
            if text.lower().endswith(".zst") and not findings.knows(path):
                findings.add_gap("part", path, "the ending .zst needs the extra 'zstd'", "another file, or: pip install 'asyncrun[zstd]'")


def _check_skip(file: Path, path: KeyPath, findings: Findings) -> None:
    node = findings.node(path)
    if isinstance(node, Scalar) and not findings.knows(path) and not file.is_file():
        findings.add(path, not_a_file(file), "a file with one id a line", neighbour(file, node.text))


def _problem(text: str, typed: str, root: Path, wanted: _Wanted) -> tuple[str, str | None, str | None] | None:
    """Return what is wrong with an input, what is allowed, and what was probably meant; None when it is there."""
    path = absolute(root, text)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        glob = find_glob(text, root) if is_glob(text) else None
        return _unmatched(glob, typed, wanted) if glob is not None else (not_a_file(path), None, neighbour(path, typed))
    if stat.S_ISDIR(mode):
        return "a folder", f"files of it, such as {typed.rstrip('/')}/**/*.md", None
    if not stat.S_ISREG(mode):
        return "not a regular file", "a file, or '-' for standard input", None
    return None if os.access(path, os.R_OK) else ("cannot be read: no permission", "a file that this user may read", None)


def _unmatched(glob: Glob, typed: str, wanted: _Wanted) -> tuple[str, str | None, str | None] | None:
    if wanted.given.allow_empty or any(glob.covers(str(path)) for path in wanted.written):
        return None
    try:
        excluded = parse_excluded(wanted.given, wanted.root)
        found = glob.walk(lambda path: excluded(path) or wanted.given.leaves_out(path))
        if any(is_input and wanted.takes(path) for path, is_input in found):
            return None
    except (FileNotFoundError, NotADirectoryError):
        pass
    except StorageError as error:
        return "a folder of it cannot be listed" if "$" in typed else f"{error}", "folders that this user may read", None
    # The value of a variable is not shown, so the folder is named only where it was typed.
    folder = Path(glob.folder)
    missing = "" if "$" in typed or folder.is_dir() else f": there is no folder {folder.name!r}"
    return f"no file matches{missing}", "a path or glob with a match, or allow_empty: true", None
