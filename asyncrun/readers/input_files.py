"""Input files of a job: paths and globs in, the files to read out, each with its format and the id that stands for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from asyncrun import registry
from asyncrun.errors import MissingExtraError, Place, StorageError, UsageError, os_words
from asyncrun.grammar.file_formats import STDIN, input_format
from asyncrun.grammar.globs import Glob, is_glob, parse_exclude, parse_glob
from asyncrun.humanize import did_you_mean
from asyncrun.readers.byte_lines import missing_zstd


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: `shown` is its path as the user knows it, `name` the same relative to the root, which ids are made of."""

    path: Path
    shown: str
    name: str
    format: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The files of an input in the order they are read, and the paths a glob matched that are no input.

    `lacking` are those that would be one if an extra were installed, each with the sentence that says so.
    """

    files: tuple[InputFile, ...]
    skipped: tuple[str, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)


class _Found(NamedTuple):
    """What is found so far: files by their absolute paths, and the other two as in an Inventory."""

    files: dict[str, InputFile]
    skipped: dict[str, None]
    lacking: dict[str, str]


@dataclass(frozen=True, slots=True)
class FileSearch:
    """What to look for: `paths` in order, each a path, a glob or `-`, relative to `base`.

    The files of one glob come in the order of their paths, a file that several name comes once, where it is named first. A glob passes over
    the real paths of files and folders that `left_out` says yes to.
    """

    base: Path
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    format: str = "auto"
    root: str | None = None
    allow_empty: bool = False
    stdin: Path | None = None
    encoding: str | None = None
    left_out: Callable[[str], bool] = lambda _: False

    def find(self) -> Inventory:
        """Return the files that are there now. Raises UsageError for what is missing, StorageError for what cannot be looked at."""
        excluded = parse_exclude(self.exclude, self.base)
        known = cache(lambda: frozenset(registry.names("readers")))  # Looks at every installed package: once at most.
        found = _Found({}, {}, {})
        files = found.files
        for path in self.paths:
            if path == STDIN:
                files.setdefault(STDIN, self._standard_input())
            elif is_glob(path) and not _exists(self._absolute(path)):
                self._add_matches(path, excluded, known, found)
            elif not excluded(self._absolute(path)):
                files.setdefault(self._absolute(path), self._named_file(path, known))
        return Inventory(tuple(files.values()), tuple(found.skipped), found.lacking)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(self.base.absolute() / path)

    def _add_matches(
        self,
        pattern: str,
        excluded: Callable[[str], bool],
        known: Callable[[], frozenset[str]],
        found: _Found,
    ) -> None:
        glob = parse_glob(pattern, self.base)
        top = f"{glob.shown.rstrip('/')}/" if glob.shown else ""
        try:
            matches = sorted(self._walk(glob, excluded))
        except (FileNotFoundError, NotADirectoryError) as error:
            matches = []
            if not self.allow_empty:
                raise _missing(glob.shown, self.base) from error
        missing: MissingExtraError | None = None
        kept, absent = 0, cache(partial(registry.missing_extra, "readers"))
        for inside, is_input in matches:
            format_ = self._format(inside, known) if is_input else None
            if format_ is None:
                found.skipped[readable(top + inside)] = None
                continue
            if self.format == "auto" and (missing := missing_zstd(inside) or absent(format_)) is not None:
                found.lacking[readable(top + inside)] = f"{missing.message}. {missing.hint}".rstrip(".")
                continue
            kept += 1
            absolute = os.path.normpath(f"{glob.folder}/{inside}")
            name = inside if self.root is None else self._below_root(absolute, top + inside)
            found.files.setdefault(absolute, InputFile(Path(absolute), readable(top + inside), readable(name), format_))
        if not kept and not self.allow_empty:
            raise missing if missing is not None else _no_match(pattern, len(matches))

    def _walk(self, glob: Glob, excluded: Callable[[str], bool]) -> Iterator[tuple[str, bool]]:
        # No symbolic link is followed, so one look tells where all paths below really are.
        real, shown = os.path.realpath(glob.folder).rstrip("/"), len(glob.folder.rstrip("/"))
        return glob.walk(lambda path: excluded(path) or self.left_out(real + path[shown:]))

    def _named_file(self, path: str, known: Callable[[], frozenset[str]]) -> InputFile:
        absolute = self._absolute(path)
        shown = readable(path.removeprefix("./"))
        try:
            mode = Path(absolute).stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _missing(path, self.base) from error
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot be looked at: {os_words(error)}", place=Place(shown)) from error
        if stat.S_ISDIR(mode):
            raise UsageError(
                "is a folder, not a file", place=Place(shown), hint=f"Name its files: {path.rstrip('/')}/**/*.md, for example."
            )
        if not stat.S_ISREG(mode):
            # It is passed over more than once, and a pipe gives its data only once.
            raise UsageError("is not a regular file", place=Place(shown), hint="Use '-' to read standard input.")
        format_ = self._format(path, known)
        if format_ is None:
            raise UsageError(f"nothing is known about files with the ending {Path(path).suffix!r}", place=Place(shown), hint=_NAME_FORMAT)
        name = Path(absolute).name if self.root is None else self._below_root(absolute, path)
        return InputFile(Path(absolute), shown, readable(name), format_)

    def _below_root(self, absolute: str, shown: str) -> str:
        root = self._absolute(self.root or ".")
        if not absolute.startswith(root.rstrip("/") + "/"):
            raise UsageError(f"is not under the root {self.root!r}", place=Place(readable(shown)), hint="Correct `root` of the input.")
        return os.path.relpath(absolute, root)

    def _standard_input(self) -> InputFile:
        if self.stdin is None:
            raise UsageError("standard input was not read", place=Place(STDIN), hint="Give the input as a file.")
        return InputFile(self.stdin, STDIN, STDIN, _sniffed(self.stdin, self.encoding) if self.format == "auto" else self.format)

    def _format(self, path: str, known: Callable[[], frozenset[str]]) -> str | None:
        if self.format != "auto":
            return self.format
        named = input_format(path)
        return named if named in registry.BUILT_IN["readers"] or (named is not None and named in known()) else None


_NAME_FORMAT = f"Name its format with `format:` ({', '.join(registry.BUILT_IN['readers'])})."


def readable(path: str) -> str:
    r"""Return a path as text that every output can hold: what is not UTF-8 is written out.

    >>> readable("caf\udce9.md")
    'caf\\udce9.md'
    """
    return path.encode("utf-8", "backslashreplace").decode()


def _sniffed(path: Path, encoding: str | None) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(64 * 1024).decode(encoding or "utf-8", "ignore").removeprefix("\ufeff").lstrip()
    except OSError as error:
        raise StorageError(f"cannot be read: {os_words(error)}", place=Place(STDIN)) from error
    return "jsonl" if start.startswith("{") else "lines"


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _missing(path: str, base: Path) -> UsageError:
    """Name the first part of the path that is not there, and what is there with a similar name."""
    folder = base.absolute()
    for part in Path(path).parts:
        if not _exists(os.fspath(folder / part)):
            guess = did_you_mean(part, _listed(folder))
            break
        folder /= part
    else:
        guess, part = "", Path(path).name
    what = "no such file" if part == Path(path).name else f"no such file or folder: there is no {part!r}"
    return UsageError(what + guess, place=Place(readable(path)), hint="Correct the path; it starts at the job file's folder.")


def _listed(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _no_match(pattern: str, found: int) -> UsageError:
    hint = "Correct the pattern, or set allow_empty: true."
    if "{" in pattern:
        hint = "Braces are not expanded: write a list of patterns."
    elif found:
        hint = _NAME_FORMAT
    what = "no file matches" if not found else f"no file matches that can be read: {found} hidden, linked or of an unknown type"
    return UsageError(what, place=Place(readable(pattern)), hint=hint)
