"""What of a folder belongs to the job file: no glob takes it for an input."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_checks import taken_outputs
from asyncrun.jobfile.jobs import setting_of
from asyncrun.jobfile.output_checks import SQLITE_COMPANIONS, files_beside, output_files
from asyncrun.jobfile.sections import StoreConfig

_OF_A_PART = r"\.(?:limit-\d+|shard-\d+-of-\d+)"
"""What stands in the name of an output that holds some of the rows."""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Real paths of files and folders, and a pattern of the paths of outputs: all that is left out.

    >>> own = OwnFiles(frozenset({"/a/jobs.yaml"}), re.compile("/a/out[.]jsonl"))
    >>> own("/a/jobs.yaml"), own("/a/out.jsonl"), own("/a/notes.jsonl")
    (True, True, False)
    """

    paths: frozenset[str]
    outputs: re.Pattern[str]

    def __call__(self, path: str) -> bool:
        """Tell whether a file or a folder is one of them."""
        return path in self.paths or self.outputs.fullmatch(path) is not None


def find_own_files(
    entry: JobEntry,
    entries: Sequence[JobEntry],
    stores: Iterable[StoreConfig],
    kept: Collection[Path],
    root: Path,
) -> OwnFiles:
    """Return what the globs of a job leave out. Blocks.

    That are `kept` (the job file, its keys and figures), the stores and whatever else jobs read beside their inputs, the job's own output,
    what other jobs write where the glob is for all that lies beside the job file (else it is an input that needs them), and the outputs of
    some of the rows (`--limit`, `--shard`) of every job.
    """
    used = [real(root / path) for path in kept]
    jobs = [each.job for each in entries if each.job is not None]
    for job in jobs:
        used += (real(root / path) for path in files_beside(job).values() if path)
    own_stores = (setting_of(job, "store") for job in jobs)
    for store in (*stores, *filter(None, own_stores)):
        used += _store_files(store, root)
    takes = taken_outputs(entry.job.input, root) if entry.job is not None else lambda _: False
    written = ((path, each is entry) for each in entries for path in _outputs(each, root))
    patterns = (_pattern(path, whole=own or not takes(path)) for path, own in written)
    return OwnFiles(frozenset(map(str, used)), re.compile("|".join(patterns) or r"(?!)"))


def _store_files(store: StoreConfig, root: Path) -> Iterator[Path]:
    if store.is_database_file:
        path = real(root / store.path)
        yield from (path.with_name(path.name + ending) for ending in ("", *SQLITE_COMPANIONS))
    elif "path" in store.model_fields_set:
        yield real(root / store.path)


def _outputs(entry: JobEntry, root: Path) -> Iterator[Path]:
    output = setting_of(entry.job, "output")
    if output is not None and output.path != STDOUT:
        yield from map(real, output_files(output, root))


def _pattern(path: Path, *, whole: bool) -> str:
    ending = ".ids.txt" if path.name.endswith(".ids.txt") else path.suffix
    stem = os.fspath(path).removesuffix(ending)
    return re.escape(stem) + (f"(?:{_OF_A_PART})?" if whole else _OF_A_PART) + re.escape(ending)
