"""From the job file's words to parts that work: embedders, stores, inputs and outputs of each job."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from asyncrun import registry
from asyncrun.aio.circuit import Circuit
from asyncrun.aio.limits import Limiter, Limits
from asyncrun.aio.retry import RetryBudget, RetryPolicy
from asyncrun.aio.stop import Stop
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.chunkers.interface import Chunker, ChunkOptions
from asyncrun.chunkers.safe import SafeTokenizer
from asyncrun.clock import Clock
from asyncrun.embedders.interface import BatchLimits, Embedder
from asyncrun.errors import StorageError, UsageError
from asyncrun.jobfile.embedder import EmbedderConfig
from asyncrun.jobfile.input import Input
from asyncrun.jobfile.input import Output as OutputConfig
from asyncrun.jobfile.jobs import EmbedJob, IngestJob, Job, QueryJob
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.kinds.context import JobContext
from asyncrun.kinds.distinct import DistinctSource
from asyncrun.kinds.embed import EmbedKind
from asyncrun.kinds.items import Items
from asyncrun.kinds.outputs import Output
from asyncrun.ledger.ledger import Ledger
from asyncrun.ports import Kind
from asyncrun.readers.source import Source
from asyncrun.records import InputType
from asyncrun.stores.filter import parse_filter
from asyncrun.stores.interface import Store
from asyncrun.writers.open import STDOUT, open_writer


@dataclass(frozen=True, slots=True, eq=False)
class Manners:
    """How one place (address, key, model) is treated, by all jobs together."""

    limiter: Limiter
    circuit: Circuit
    budget: RetryBudget


@dataclass(eq=False)
class Workshop:
    """Builds the parts of one run; embedders are built once for all jobs.

    `file` is the job file. After `deadline`, a monotonic time, no batch of any job starts.
    """

    file: Path
    ledger: Ledger
    stop: Stop
    clock: Clock
    manager: CallbackManager
    rng: random.Random
    environ: Mapping[str, str]
    workers: int | None = None
    stdin: Path | None = None
    deadline: float | None = None
    _embedders: dict[str, Embedder] = field(default_factory=dict)
    _stores: list[Store] = field(default_factory=list)
    _places: dict[tuple[str | None, str | None, str | None], Manners] = field(default_factory=dict)

    def open_kind(self, job: Job) -> Kind:
        """Return a job, wired. Blocks. Raises what its parts raise."""
        if isinstance(job, EmbedJob):
            return self.open_embed(job)
        if isinstance(job, IngestJob):
            return self._ingest(job)
        if isinstance(job, QueryJob):
            return self._query(job)
        return cast(Kind, registry.load("kinds", job.kind)(job, self))

    def check(self, jobs: Iterable[Job]) -> None:
        """Find out what must be wrong with the jobs' embedders and filters, before the first job starts. Raises UsageError."""
        for job in jobs:
            try:
                if isinstance(job, EmbedJob | IngestJob | QueryJob):
                    self._embedder(job).check()
                if isinstance(job, QueryJob) and job.filter:
                    parse_filter(job.filter)
            except UsageError as error:
                raise UsageError(f"job {job.name}: {error.message}", hint=error.hint) from error

    @property
    def root(self) -> Path:
        """Return the folder where relative paths start."""
        return self.file.absolute().parent

    def failures_of(self, job: Job) -> str:
        """Return the name that the failed items of a job are kept under."""
        return f"{self.file.name}/{job.name}"

    def waiting(self) -> list[str | None]:
        """Return what the limiters' first requests wait for."""
        return [manners.limiter.waiting for manners in self._places.values()]

    async def aclose(self) -> None:
        """Close everything that was opened."""
        for embedder in self._embedders.values():
            await embedder.aclose()
        for store in self._stores:
            store.close()

    def open_embed(self, job: EmbedJob) -> EmbedKind:
        """Return an embed job, wired. Blocks."""
        return EmbedKind(self._items(job, job.embedder, InputType.DOCUMENT), self._output(job.output))

    def _query(self, job: QueryJob) -> Kind:
        from asyncrun.kinds.query import QueryKind, Search

        search = Search(job.collection, job.search, job.top_k, job.filter)
        return QueryKind(self._items(job, job.embedder, InputType.QUERY), self._store(job.store), search, self._output(job.output))

    def _ingest(self, job: IngestJob) -> Kind:
        from asyncrun.kinds.ingest import IngestKind, Target

        embedder = self._embedder(job)
        chunk = job.chunk
        return IngestKind(
            source=self._source(job.input),
            embedder=embedder,
            chunker=self._chunker(job, embedder),
            made_with=f"{chunk.by} {chunk.size} {chunk.overlap}",
            store=self._store(job.store),
            target=Target(job.collection, job.source, job.prune, job.max_delete),
            on_empty=job.embedder.on_empty,
            context=self._context(job),
        )

    def _items(self, job: EmbedJob | QueryJob, config: EmbedderConfig, input_type: InputType) -> Items:
        return Items(self._source(job.input), self._embedder(job), input_type, config.on_empty, self._context(job))

    def _context(self, job: Job) -> JobContext:
        own = None if job.max_runtime is None else self.clock.monotonic() + job.max_runtime
        return JobContext(
            name=job.name,
            failures=self.failures_of(job),
            ledger=self.ledger,
            stop=self.stop,
            clock=self.clock,
            manager=self.manager,
            max_failures=job.max_failures,
            skip=read_skip(self.root / job.skip) if job.skip else frozenset(),
            workers=self.workers or job.workers,
            deadline=min((moment for moment in (own, self.deadline) if moment is not None), default=None),
        )

    def _source(self, config: Input) -> DistinctSource:
        return DistinctSource(
            Source(
                base=self.root,
                paths=config.paths,
                inline=config.items,
                exclude=config.exclude,
                format=config.format,
                text=config.text,
                id=config.id,
                metadata=config.metadata,
                root=config.root,
                duplicates=config.duplicates,
                allow_empty=config.allow_empty,
                stdin=self.stdin,
            )
        )

    def open_output(self, path: str) -> Output:
        """Return an output that a flag names: relative to the working directory, its format from its ending."""
        return self._output(OutputConfig(path=path if path == STDOUT else str(Path(path).absolute())))

    def _output(self, config: OutputConfig) -> Output:
        path = None if config.path == STDOUT else self.root / config.path
        form = f"{config.format} {config.columns}"
        return Output(path, config.path, form, partial(open_writer, path or STDOUT, config.format, sys.stdout.buffer, config.columns))

    def _store(self, config: StoreConfig) -> Store:
        store: Store = registry.load("stores", config.type)(self.root / config.path)
        self._stores.append(store)
        return store

    def _chunker(self, job: IngestJob, embedder: Embedder) -> Chunker:
        options = ChunkOptions(job.chunk.size, job.chunk.overlap)
        return cast(Chunker, registry.load("chunkers", job.chunk.by)(embedder.tokenizer or SafeTokenizer(), options))

    def _embedder(self, job: EmbedJob | IngestJob | QueryJob) -> Embedder:
        config = job.embedder
        name = repr(config) + repr(sorted(config.secrets()))
        if name not in self._embedders:
            self._embedders[name] = self._build_embedder(config)
        return self._embedders[name]

    def _build_embedder(self, config: EmbedderConfig) -> Embedder:
        shared: dict[str, Any] = {
            "dimensions": config.dimensions,
            "document_prefix": config.document_prefix,
            "query_prefix": config.query_prefix,
            "space": config.space,
            "on_too_long": config.on_too_long,
            "on_empty": config.on_empty,
        }
        adapter = registry.load("embedders", config.provider)
        stated = {name: value for name, value in config.batch if value is not None}
        batch = BatchLimits(**stated) if stated else None
        if config.provider == "local":
            return cast(Embedder, adapter(batch=batch, **shared))
        key = config.api_key.get_secret_value() if config.api_key else None
        place = (config.base_url, key, config.model)
        if place not in self._places:
            self._places[place] = Manners(Limiter(Limits(**dict(config.limits)), self.clock, self.rng), Circuit(), RetryBudget())
        manners = self._places[place]
        optional = {"model": config.model, "base_url": config.base_url, "batch": batch}
        return cast(
            Embedder,
            adapter(
                api_key=key,
                input_type=config.input_type,
                retry=RetryPolicy(attempts=config.retry.attempts, max_wait=config.retry.max_wait, max_hint=config.retry.max_wait),
                timeout=config.timeout,
                price_per_million_tokens=config.price_per_million_tokens,
                headers={name: value.get_secret_value() for name, value in config.headers.items()},
                extra_body=config.extra_body,
                environ=self.environ,
                limiter=manners.limiter,
                circuit=manners.circuit,
                budget=manners.budget,
                clock=self.clock,
                rng=self.rng,
                **{name: value for name, value in optional.items() if value is not None},
                **shared,
            ),
        )


def read_skip(path: Path) -> frozenset[str]:
    """Return the ids of a skip file, one a line. Raises StorageError."""
    try:
        return frozenset(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the skip file {path}: {error}", hint="Correct `skip` in the job file.") from error


def output_path(job: Job) -> str | None:
    """Return the path of a job's output as the job file has it, None for a job without one."""
    return job.output.path if isinstance(job, EmbedJob | QueryJob) else None
