"""The kind `ingest`: what its jobs hold, and how one is checked and opened."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from pydantic import Field

from asyncrun.jobfile.field_types import CountOrPercent, DeadlineField, DeliveryField, Flag, Text
from asyncrun.jobfile.job_keys import IngestKeys
from asyncrun.jobfile.jobs import CheckContext, Chunking, Job, StoredCollection, StoreField
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.interface import Builder, JobKind, JobProblem, embedder_spaces
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.chunkers.worker_chunker import ChunkerPart
    from asyncrun.embedders.interface import Embedder
    from asyncrun.jobfile.entries import JobEntry
    from asyncrun.jobs.ingest.run import IngestRun


class IngestJob(Job):
    """Cuts, embeds and commits documents into a store; `source` owns them.

    >>> import asyncrun, tempfile
    >>> job = IngestJob(name="notes", input={"items": ["Cats purr."]}, store={"type": "sqlite", "path": "index.db"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncrun.run(job, folder=folder).jobs["notes"].counts.items
    1
    """

    # A document that is empty is no failure: there is nothing in it to find.
    skips_empty: ClassVar[bool] = True
    descriptions: ClassVar[Mapping[str, str]] = {
        "chunk": "How documents are cut.",
        "source": "Who owns the documents; default: the job's name.",
        "prune": "Whether documents that left the input leave the store.",
        "max_delete": "How many documents may be deleted or replaced at most.",
        "on_new_space": "What becomes of a collection that another embedder filled: it is refused, or filled anew.",
    }

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[IngestKeys]) -> None:
            """Take the keys of an entry in a job file, in the same forms."""

    kind: Literal["ingest"]
    chunk: Chunking = Field(default_factory=Chunking)
    store: StoreField = Field(default_factory=StoreConfig)
    collection: Text = "documents"
    source: Text = Field(default_factory=lambda data: data.get("name", ""))
    prune: Flag = False
    max_delete: CountOrPercent = Field(default=Threshold(percent=20.0), json_schema_extra={"default": "20%"})
    on_new_space: Literal["refuse", "rebuild"] = "refuse"
    deadline: DeadlineField | None = None
    stragglers: DeliveryField = "batch"

    def check(self, entry: JobEntry, context: CheckContext) -> None:
        """The collection's name is not kept for a generation of another one."""
        from asyncrun.stores.generations import is_generation

        if is_generation(self.collection):
            what = "such a name is kept for the next or a former generation of a collection"
            context.findings.add(entry.path("collection"), what, "a name with another ending")

    @property
    def fills(self) -> StoredCollection:
        """Return the collection that it fills."""
        return StoredCollection(self.store, self.collection)


def _open(job: IngestJob, builder: Builder) -> IngestRun:
    from asyncrun.jobs.ingest.run import IngestRun
    from asyncrun.jobs.ingest.store_sync import StoreSync, StoreTarget
    from asyncrun.sqlite_files import check_writable

    check = partial(check_writable, builder.root / job.store.path) if job.store.is_database_file else None
    embedder = builder.embedder(job)
    context = builder.context(job, embedder.space(InputType.DOCUMENT))
    rebuilds = _rebuilds(job, builder)
    target = StoreTarget(job.collection, job.source, job.prune, job.max_delete, rebuilds, _fillers(job, builder) if rebuilds else {})
    return IngestRun(
        source=builder.source(job.input),
        embedder=embedder,
        chunker=builder.chunker(job.chunk, embedder),
        made_with=f"{job.chunk.by} {job.chunk.size} {job.chunk.overlap}",
        sync=StoreSync(builder.store(job.store), target, context, check),
        on_empty=job.embedder.on_empty,
        context=context,
        worker_chunker=None if context.executor is None else _on_workers(job.chunk, embedder),
    )


def _on_workers(chunk: Chunking, embedder: Embedder) -> ChunkerPart | None:
    from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
    from asyncrun.chunkers.worker_chunker import chunker_part

    return chunker_part(chunk.by, ChunkOptions(chunk.size, chunk.overlap), embedder.tokenizer or ByteTokenizer())


def _rebuilds(job: IngestJob, builder: Builder) -> bool:
    return job.on_new_space == "rebuild" or builder.options.rebuild


def _fillers(job: IngestJob, builder: Builder) -> dict[str, str]:
    """Return the commands that fill the job's collection, by the sources that they fill. Blocks."""
    filling = (other for other in builder.jobs if isinstance(other, IngestJob) and other.fills.is_same(job.fills, builder.root))
    return {other.source: shlex.join(["asyncrun", "run", str(builder.file), other.name]) for other in filling}


def _check(job: IngestJob, builder: Builder, _: Sequence[Job]) -> None:
    builder.chunker(job.chunk, builder.embedder(job))
    if _rebuilds(job, builder):
        from asyncrun.stores.generations import rebuildable

        rebuildable(builder.store(job.store))


def _inspect(job: IngestJob, builder: Builder) -> Iterator[JobProblem]:
    from asyncrun.jobs.space_check import space_problems

    if not _rebuilds(job, builder):
        yield from space_problems(builder.store(job.store), job.collection, job, builder)


INGEST = JobKind(IngestJob, _open, check=_check, inspect=_inspect, spaces=embedder_spaces)
