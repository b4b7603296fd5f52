"""The small languages inside a job: its globs and the templates of its input."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from asyncrun.errors import UsageError
from asyncrun.grammar.file_formats import STDIN
from asyncrun.grammar.globs import Glob, is_glob, parse_exclude, parse_glob
from asyncrun.grammar.template import parse_template
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_output import InputConfig
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.yaml_tree import KeyPath


def check_words(entry: JobEntry, root: Path, findings: Findings) -> None:
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


def takes(given: InputConfig, root: Path) -> Callable[[Path], bool]:
    """Return what tells whether a real path, there or not yet, is one of an input."""
    named = {real(root / text) for text in given.paths if text != STDIN}
    globs = [glob for text in given.paths if is_glob(text) and (glob := find_glob(text, root)) is not None]
    excluded = parse_excluded(given, root)
    return lambda path: (path in named or any(glob.covers(str(path)) for glob in globs)) and not excluded(str(path))


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
