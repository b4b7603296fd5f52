"""What is finished, as a whole: taken out of a ledger in a portable form, and taken in from one, or from an output."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import orjson

from asyncrun import registry
from asyncrun.app.builder import JobBuilder
from asyncrun.app.flag_overrides import load_jobs
from asyncrun.app.request import Request
from asyncrun.app.state_lock import enter_alone
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import Place, StorageError, UsageError, os_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.answers import find_answers, put_answers
from asyncrun.ledger.job_records import finished_shards
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.ledger.portable import PortableBatch, is_portable, portable_lines, read_portable
from asyncrun.ledger.provider_batches import BatchRecord, add_waiting
from asyncrun.ledger.shards import ShardRecord, file_name, joined, put_shards, still_failed
from asyncrun.readers.interface import BadRecord
from asyncrun.records import Answer, InputType, Space, text_key
from asyncrun.results import Imported
from asyncrun.sqlite_files import check_filesystem, filesystem_of
from asyncrun.state_folder import LEDGER, STATE_FOLDER, job_file_id, open_state_folder, state_file_exists, state_folder
from asyncrun.writers.atomic import AtomicFile
from asyncrun.writers.interface import format_of
from asyncrun.writers.jsonl import StdoutFile

ROWS_AT_ONCE = 256
"""Rows of an output that become one batch of the ledger."""


def export_ledger(state: Path, output: str) -> tuple[int, int]:
    """Write what is finished in the portable form, to a file or (`-`) to standard output; returns how many vectors and answers.

    Raises UsageError, OutputError and StorageError.
    """
    if not state_file_exists(state / LEDGER):
        raise UsageError(f"there is no ledger in {state}", hint="Run a job first, or name its job file with -f.")
    file = StdoutFile(sys.stdout.buffer) if output == STDOUT else AtomicFile(Path(output))
    try:
        with closing(portable_lines(state / LEDGER)) as lines:
            counts = [(vectors, answers) for line, vectors, answers in lines if file.write(line)]
        file.commit()
    finally:
        file.abort()
    return sum(vectors for vectors, _ in counts), sum(answers for _, answers in counts)


def import_files(request: Request, files: Sequence[Path]) -> Imported:
    """Take portable ledgers in, state folders, and outputs with text and embedding as those of the request's one job.

    Of shards of the request's job file it is known then which have finished, and what of them failed and is not finished since. What is
    finished already stays as it is. Takes the lock of every job file that has run here. Every file is checked before the first is taken in.
    Raises UsageError, TryLaterError, JobFileError, StorageError and SpaceMismatchError.
    """
    state = open_state_folder(state_folder(request.file, request.state_dir))
    check_filesystem(state, filesystem_of(state))
    with enter_alone(state, request.file):
        return asyncio.run(_import(request, state, files))


async def _import(request: Request, state: Path, files: Sequence[Path]) -> Imported:
    ledger = Ledger(state / LEDGER, warn=lambda words: None)
    try:
        async with _embedder(request, ledger) as embedder:
            for file in files:
                await asyncio.to_thread(_check, file, embedder, state)
            total, importer, shards, waiting = Imported(), _Importer(ledger), list[ShardRecord](), list[BatchRecord]()
            for file in files:
                batches = _batches(file, embedder)
                while batch := await asyncio.to_thread(next, batches, None):
                    if isinstance(batch, ShardRecord):
                        shards.append(batch)
                    elif isinstance(batch, BatchRecord):
                        waiting.append(batch)
                    else:
                        total = _sum(total, await importer.put(*batch))
            await add_waiting(ledger, [await asyncio.to_thread(_of_this_file, record, state, request.file) for record in waiting])
            return await _with_shards(total, shards, ledger, request.file) if shards else total
    finally:
        await asyncio.to_thread(ledger.close)


@asynccontextmanager
async def _embedder(request: Request, ledger: Ledger) -> AsyncIterator[Embedder | None]:
    """Open the embedder of the request's job, if it names one."""
    if not request.jobs:
        yield None
        return
    selection = await asyncio.to_thread(load_jobs, replace(request, options=RunOptions(with_needs=False)), need_keys=False)
    jobs = selection.jobs
    if len(jobs) != 1 or not jobs[0].rows_hold_vectors:
        raise UsageError("--job takes one job of the kind embed", hint="Name the job whose output the file was.")
    builder = JobBuilder(request, selection.job_file, ledger)
    try:
        yield await asyncio.to_thread(builder.embedder, jobs[0])
    finally:
        await builder.aclose()


async def _with_shards(total: Imported, records: Sequence[ShardRecord], ledger: Ledger, job_file: Path) -> Imported:
    """Take in what is known of the shards of a job file, once their vectors are there; says so, and of which others there were some."""
    home = await asyncio.to_thread(job_file_id, ledger.folder, job_file)
    own = [record for record in joined(records) if record.file == file_name(job_file.name)]
    left = [replace(record, failures=await asyncio.to_thread(still_failed, ledger, record.failures)) for record in own]
    await put_shards(ledger, home, left)
    jobs = sorted({f"{home}/{record.job}" for record in own})
    finished = await asyncio.to_thread(lambda: [each for job in jobs for each in finished_shards(ledger, job)])
    others = tuple(sorted({record.file for record in records} - {record.file for record in own}))
    return replace(total, shards=tuple(finished), others=others)


def _of_this_file(record: BatchRecord, state: Path, job_file: Path) -> BatchRecord:
    """Return a batch as that of the same job here, if its job file has the same name. Blocks."""
    file, _, job = record.job.partition("/")
    return replace(record, job=f"{job_file_id(state, job_file)}/{job}") if file_name(file) == file_name(job_file.name) else record


def _check(file: Path, embedder: Embedder | None, state: Path) -> None:
    if file.is_dir() and _ledger_in(file).resolve() == (state / LEDGER).resolve():
        hint = "What ran in this folder is there already: `asyncrun run` sends what is left."
        raise UsageError("it is the ledger that would be filled", place=Place(str(file)), hint=hint)
    for _ in _batches(file, embedder):
        pass


def _ledger_in(folder: Path) -> Path:
    """Return the ledger of a state folder, or of one that stands in a folder. Raises UsageError."""
    for path in (folder / LEDGER, folder / STATE_FOLDER / LEDGER):
        if state_file_exists(path):
            return path
    raise UsageError(
        "a folder without a ledger", place=Place(str(folder)), hint="Name a state folder, or what `ledger export` has written."
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Importer:
    """Takes batches in. `known` are the vectors that a space had before, by its fingerprint, `taken` the keys that it has got since."""

    ledger: Ledger
    known: dict[str, KeyIndex] = field(default_factory=dict)
    taken: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))

    async def put(self, space: Space, batch: PortableBatch) -> Imported:
        return await (self._put_vectors(space, batch) if isinstance(batch, Finished) else self._put_answers(space, batch))

    async def _put_answers(self, space: Space, answers: Mapping[bytes, Answer]) -> Imported:
        known = await asyncio.to_thread(find_answers, self.ledger, list(answers))
        if new := {key: answer for key, answer in answers.items() if key not in known}:
            await put_answers(self.ledger, space, new)
        return Imported(len(new), len(answers) - len(new))

    async def _put_vectors(self, space: Space, finished: Finished) -> Imported:
        name, taken = space.fingerprint, self.taken[space.fingerprint]
        if name not in self.known:
            self.known[name] = await asyncio.to_thread(self.ledger.index, space)
        missing = np.flatnonzero(self.known[name].find(keys_array(b"".join(finished.keys))) < 0).tolist()
        new: dict[bytes, int] = {}
        for at in missing:
            if (key := finished.keys[at]) not in taken:
                new.setdefault(key, at)
        if new:
            rows = list(new.values())
            await self.ledger.put(space, Finished(list(new), finished.vectors[rows], [finished.flags[at] for at in rows]))
            taken.update(new)
        return Imported(len(new), len(finished.keys) - len(new))


def _sum(one: Imported, other: Imported) -> Imported:
    return Imported(one.taken + other.taken, one.known + other.known)


def _batches(path: Path, embedder: Embedder | None) -> Iterator[tuple[Space, PortableBatch] | ShardRecord | BatchRecord]:
    if path.is_dir():
        with closing(portable_lines(_ledger_in(path))) as lines:
            yield from read_portable((line for line, _, _ in lines), str(path))
        return
    try:
        with path.open("rb") as file:
            first = file.readline()
            file.seek(0)
            if is_portable(first):
                yield from read_portable(file, str(path))
                return
    except OSError as error:
        raise StorageError(f"cannot be read: {os_words(error)}", place=Place(str(path)), hint="Correct the path.") from error
    if embedder is None:
        hint = "Say with --job whose vectors they are: asyncrun ledger import out.jsonl -f jobs.yaml --job notes"
        raise UsageError("not a portable ledger; the space of an output is that of a job", place=Place(str(path)), hint=hint)
    yield from _batches_of_output(path, embedder)


def _batches_of_output(path: Path, embedder: Embedder) -> Iterator[tuple[Space, Finished]]:
    space = embedder.space(InputType.DOCUMENT)
    rows = _rows(path, space.dimensions)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        keys = [text_key(embedder.as_sent(text, InputType.DOCUMENT)) for text, _ in some]
        sizes = {len(vector) for _, vector in some}
        if len(sizes) > 1:
            raise StorageError(f"vectors of {' and '.join(map(str, sorted(sizes)))} numbers", place=Place(str(path)))
        yield space, Finished(keys, np.stack([vector for _, vector in some]), [0] * len(some))


def _rows(path: Path, dimensions: int | None) -> Iterator[tuple[str, np.ndarray]]:
    for record in registry.load("readers", format_of(path))(path, str(path)):
        if isinstance(record, BadRecord):
            raise StorageError(record.message, place=record.place)
        text, embedding = record.fields.get("text"), record.fields.get("embedding")
        try:
            with np.errstate(over="ignore"):  # what is no float32 becomes infinite, and is refused as such
                vector = np.array(orjson.loads(embedding) if isinstance(embedding, str) else embedding, dtype=np.float32)
        except (ValueError, TypeError):
            vector = np.empty(0, dtype=np.float32)
        if not isinstance(text, str) or vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
            raise StorageError("no text, or no embedding of finite numbers", place=record.place, hint="Nothing was taken in.")
        if dimensions is not None and len(vector) != dimensions:
            raise StorageError(
                f"an embedding of {len(vector)} numbers, the space has {dimensions}", place=record.place, hint="Nothing was taken in."
            )
        yield text, vector
