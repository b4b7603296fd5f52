"""What a job file's jobs read and keep, so that nothing else is written there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncrun.errors import StorageError
from asyncrun.grammar.file_formats import STDIN, STDOUT, ids_path
from asyncrun.grammar.globs import is_glob
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.job_grammar import find_glob, parse_excluded, takes
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.path_collisions import Protected, Spot, locate, protect_database, protect_files, protect_folder


def protect_input(what: str, given: InputConfig, root: Path) -> Protected:
    """Return the protection of an input: its files, and what its globs would take if it were there. Blocks."""
    covers, excluded = takes(given, root), parse_excluded(given, root)
    spots = (locate(root / path) for path in given.paths if path != STDIN)
    named = protect_files(what, [spot for spot in spots if not excluded(str(spot.path))])

    def holds(spot: Spot) -> bool:
        # Only a file with several names can be one that a glob finds elsewhere: all of them are looked at only then.
        return covers(spot.path) or named.holds(spot) or (spot.links > 1 and spot.file in map(_file, _found(given, root)))

    return Protected(what, holds)


def protect_parts(job: Job, shown: str, root: Path) -> Iterator[Protected]:
    """Yield the protections of what a job reads beside its input, and of its store. Blocks."""
    files = dict(job.files)
    for word in ("embedder", "llm"):
        tokenizer = getattr(getattr(job, word, None), "tokenizer", None)
        files[f"{word}'s tokenizer"] = tokenizer if tokenizer and tokenizer.endswith(".json") else None
    yield from (protect_files(f"the {word} of the job {shown}", [locate(root / path)]) for word, path in files.items() if path)
    if job.declared or "store" in job.model_fields_set:
        store: StoreConfig | None = getattr(job, "store", None)
        if store is not None:
            yield from protect_store(f"the store of the job {shown}", store, root)


def protect_store(what: str, store: StoreConfig, root: Path) -> Iterator[Protected]:
    """Yield the protection of a store's file or folder; a store behind an address has none. Blocks."""
    if store.type == "sqlite":
        yield protect_database(what, root / store.path)
    elif "path" in store.model_fields_set:
        yield protect_folder(what, root / store.path)


def output_files(output: OutputConfig | None, root: Path) -> tuple[Path, ...]:
    """Return the files that an output writes, none for stdout: an .npy file has its ids beside it.

    >>> [path.name for path in output_files(OutputConfig.model_validate("notes.npy"), Path("out"))]
    ['notes.npy', 'notes.ids.txt']
    """
    if output is None or output.path == STDOUT:
        return ()
    path = root / output.path
    return (path, ids_path(path)) if output.format == "npy" else (path,)


def _found(given: InputConfig, root: Path) -> Iterator[Path]:
    """Yield the files that the globs of an input find; a folder that cannot be listed has none."""
    excluded = parse_excluded(given, root)
    for text in given.paths:
        glob = find_glob(text, real(root)) if is_glob(text) else None
        try:
            yield from (Path(glob.folder, inside) for inside, is_input in glob.walk(excluded) if is_input) if glob else ()
        except (OSError, StorageError):
            continue


def _file(path: Path) -> tuple[int, int] | None:
    return locate(path).file
