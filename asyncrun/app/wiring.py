"""From the job file's words to parts that work: embedders, stores, inputs and outputs of each job."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asyncrun import registry
from asyncrun.aio.stop import StopRequest
from asyncrun.app.chat_models import build_answering, build_llm
from asyncrun.app.collection_fillers import fill_first, filled_with, mend_first
from asyncrun.app.shared_limits import Places, key_of
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.chunkers.byte_tokenizer import ByteTokenizer
from asyncrun.chunkers.interface import Chunker, ChunkOptions
from asyncrun.clock import Clock
from asyncrun.embedders.compare import KNOWN_TEXT
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import MissingKeyError, Mistake, StorageError, UsageError, os_words
from asyncrun.grammar.file_formats import STDOUT, input_format
from asyncrun.grammar.id_lines import parse_ids
from asyncrun.jobfile.fillers import fills
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.jobs import EmbedJob, IngestJob, Job, QueryJob
from asyncrun.jobfile.sections import EmbedderConfig, EndpointConfig, LlmConfig, ModelConfig, StoreConfig
from asyncrun.jobs.budget import JobBudget, RunBudget
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.distinct import DistinctSource
from asyncrun.jobs.embed import EmbedKind
from asyncrun.jobs.estimate import TokenRate
from asyncrun.jobs.forecast import Forecast
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import Output
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.notes import token_rate
from asyncrun.ledger.references import Reference
from asyncrun.ledger.refreshes import generation_of
from asyncrun.ledger.spending import SpendingAccount
from asyncrun.llms.interface import Llm
from asyncrun.paths import known_as
from asyncrun.ports import Kind, Progress
from asyncrun.readers.item_source import ItemSource
from asyncrun.readonly import check_writable
from asyncrun.records import InputType, Space
from asyncrun.stores.interface import Store
from asyncrun.writers.open_output import companions, open_writer

if TYPE_CHECKING:
    from asyncrun.jobs.query import QueryKind


@dataclass(eq=False)
class Workshop:
    """Builds the parts of one run; embedders are built once for all jobs.

    `file` is the job file, `models` are all that it describes: what one states of a place's limits holds for the others; `jobs` are all
    that stand there, by which it is told who fills a collection that is not there; `keyless` says where a key is missing. After
    `deadline`, a monotonic time, no batch of any job starts. `redact` takes the run's secrets out of a text.
    """

    file: Path
    ledger: Ledger
    stop: StopRequest
    clock: Clock
    manager: CallbackManager
    rng: random.Random
    environ: Mapping[str, str]
    stdin: Path | None = None
    deadline: float | None = None
    warn: Callable[[str], object] = Progress().warn
    redact: Callable[[str], str] = str
    options: RunOptions = field(default_factory=RunOptions)
    run_budget: RunBudget | None = None
    models: Sequence[ModelConfig] = ()
    jobs: Sequence[Job] = ()
    keyless: Sequence[Mistake] = ()
    forecast: Forecast = field(default_factory=Forecast)
    _embedders: dict[str, Embedder] = field(default_factory=dict)
    _llms: dict[str, Llm] = field(default_factory=dict)
    _stores: list[Store] = field(default_factory=list)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.clock, self.rng, self.environ, self.models)

    def open_kind(self, job: Job) -> Kind:
        """Return a job, wired. Blocks. Raises what its parts raise."""
        if isinstance(job, EmbedJob):
            return self.open_embed(job)
        if isinstance(job, IngestJob):
            return self._ingest(job)
        if isinstance(job, QueryJob):
            return self.open_query(job)
        return cast(Kind, registry.load("kinds", job.kind)(job, self))

    def check(self, jobs: Sequence[Job], *, need_keys: bool = True) -> dict[str, MissingKeyError]:
        """Find out what must be wrong with the jobs' formats, chunks, collections, embedders and models, before the first starts. Blocks.

        Raises UsageError. Without `need_keys` a key that is missing is no mistake: the jobs are returned that miss one.
        """
        keyless: dict[str, MissingKeyError] = {}
        for job in jobs:
            try:
                self.check_parts(job, jobs)
                self._check_models(job, need_keys=need_keys)
            except UsageError as error:
                if not need_keys and isinstance(error, MissingKeyError):
                    keyless[job.name] = error
                else:
                    raise UsageError(f"job {job.name}: {error.message}", hint=error.hint) from error
        return keyless

    def check_parts(self, job: Job, jobs: Sequence[Job]) -> None:
        """Find out what is wrong with a job beside its models, `jobs` being all of the call. Blocks. Raises UsageError."""
        _check_formats(job)
        if isinstance(job, IngestJob):
            self._chunker(job, self._embedder(job))
        if isinstance(job, QueryJob) and not any(self._may_fill(other, job) for other in jobs):
            self._check_collection(job)
        if isinstance(job, QueryJob) and job.llm is not None:
            build_answering(job, self._llm(job.llm), self.root)

    def _check_models(self, job: Job, *, need_keys: bool) -> None:
        embedder, llm = self.embedder_of(job), self.llm_of(job)
        # A class of LlamaIndex may want its key, or load its model, when it is made.
        if embedder is not None and (need_keys or embedder.provider != "llama-index"):
            embedder.check()
        if llm is not None:
            llm.check()

    def embedder_of(self, job: Job) -> Embedder | None:
        """Return the embedder of a job, None for a kind that has none. Blocks."""
        return self._embedder(job) if isinstance(job, EmbedJob | IngestJob | QueryJob) else None

    def llm_of(self, job: Job) -> Llm | None:
        """Return the chat model of a job, None when it asks none. Blocks."""
        return self._llm(job.llm) if isinstance(job, QueryJob) and job.llm is not None else None

    def _may_fill(self, job: Job, query: QueryJob) -> bool:
        """Tell whether a job may make the collection that another one asks: an ingest job by its store, a plugin's may do anything."""
        return fills(job, query, self.root) if isinstance(job, IngestJob) else not isinstance(job, EmbedJob | QueryJob)

    def _check_collection(self, job: QueryJob) -> None:
        from asyncrun.jobs.query import telling_how

        store = self.open_store(job.store)
        with telling_how(mend_first(job, self.jobs, self.file)):
            if store.fingerprint(job.collection) is None:
                try:
                    store.search(job.collection, [])
                except UsageError as error:
                    raise UsageError(error.message, hint=self._fill_first(job) or error.hint) from error

    def _fill_first(self, job: QueryJob) -> str | None:
        return fill_first(job, self.jobs, self.file, limited=self.options.limit is not None)

    def spaces_of(self, job: Job) -> frozenset[str]:
        """Return the fingerprints of all spaces that texts and answers of a job come into. Raises UsageError for a kind that tells none."""
        if not isinstance(job, EmbedJob | IngestJob | QueryJob):
            raise UsageError(f"job {job.name} is of the kind {job.kind}, which does not tell the spaces of its vectors")
        spaces = [self._embedder(job).space(input_type) for input_type in InputType]
        if (llm := self.llm_of(job)) is not None:
            spaces.append(llm.space)
        return frozenset(space.fingerprint for space in spaces)

    @property
    def root(self) -> Path:
        """Return the folder where relative paths start."""
        return self.file.absolute().parent

    def failures_of(self, job: Job) -> str:
        """Return the name that the failed items of a job are kept under. Blocks."""
        return f"{known_as(self.ledger.folder, self.file)}/{job.name}"

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        for embedder in self._embedders.values():
            await embedder.renew_connections()
        for llm in self._llms.values():
            await llm.renew_connections()

    async def aclose(self) -> None:
        """Close everything that was opened."""
        for embedder in self._embedders.values():
            await embedder.aclose()
        for llm in self._llms.values():
            await llm.aclose()
        for store in self._stores:
            await asyncio.to_thread(store.close)

    def open_embed(self, job: EmbedJob) -> EmbedKind:
        """Return an embed job, wired. Blocks."""
        return EmbedKind(self._items(job, job.embedder, InputType.DOCUMENT), self._output(job.output))

    def open_query(self, job: QueryJob) -> QueryKind:
        """Return a query job, wired. Blocks."""
        from asyncrun.jobs.query import QueryKind, Search

        search = Search(job.collection, job.search, job.top_k, job.filter)
        items, output = self._items(job, job.embedder, InputType.QUERY), self._output(job.output)
        answering = None if job.llm is None else build_answering(job, self._llm(job.llm), self.root)
        told = (self._fill_first(job), mend_first(job, self.jobs, self.file), filled_with(job, self.jobs, self.root))
        return QueryKind(items, self.open_store(job.store), search, output, answering, *told)

    def _ingest(self, job: IngestJob) -> Kind:
        from asyncrun.jobs.ingest import IngestKind
        from asyncrun.jobs.store_sync import Shelf, Target

        embedder = self._embedder(job)
        context = self._context(job, embedder.space(InputType.DOCUMENT))
        target = Target(job.collection, job.source, job.prune, job.max_delete)
        chunk = job.chunk
        return IngestKind(
            source=DistinctSource(self.open_source(job.input), self.options.limit),
            embedder=embedder,
            chunker=self._chunker(job, embedder),
            made_with=f"{chunk.by} {chunk.size} {chunk.overlap}",
            shelf=Shelf(self.open_store(job.store), target, context, partial(check_writable, self.root / job.store.path)),
            on_empty=job.embedder.on_empty,
            context=context,
        )

    def _items(self, job: EmbedJob | QueryJob, config: EmbedderConfig, input_type: InputType) -> Items:
        embedder = self._embedder(job)
        context = self._context(job, embedder.space(input_type))
        return Items(DistinctSource(self.open_source(job.input), self.options.limit), embedder, input_type, config.on_empty, context)

    def _context(self, job: Job, space: Space) -> JobContext:
        tokens, size = token_rate(self.ledger, space)
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
            workers=self.options.workers or job.workers,
            deadline=min((moment for moment in (own, self.deadline) if moment is not None), default=None),
            rate=TokenRate(tokens, size),
            forecast=self.forecast,
            budget=self._budget(job),
            generation=generation_of(self.ledger, self.failures_of(job)),
            options=self.options,
            redact=self.redact,
        )

    def _budget(self, job: Job) -> JobBudget | None:
        budget = JobBudget(SpendingAccount(self.ledger, self.failures_of(job)), job.budget.tokens, job.budget.cost, self.run_budget)
        if budget.durable:
            budget.spent, budget.stopped = budget.account.balance()
        return budget if budget.durable or self.run_budget is not None else None

    def open_source(self, config: InputConfig) -> ItemSource:
        """Return the input of a job."""
        return ItemSource(
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

    def open_output(self, path: str) -> Output:
        """Return an output that a flag names: relative to the working directory, its format from its ending."""
        return self._output(OutputConfig(path=path if path == STDOUT else str(Path(path).absolute())))

    def _output(self, config: OutputConfig) -> Output:
        path = None if config.path == STDOUT else self.root / config.path
        form = f"{config.format} {config.columns}"
        writer = partial(open_writer, path or STDOUT, config.format, sys.stdout.buffer, config.columns)
        return Output(path, config.path, form, writer, () if path is None else companions(path, config.format))

    def open_store(self, config: StoreConfig) -> Store:
        """Return a store, which is closed with the workshop."""
        store: Store = registry.load("stores", config.type)(self.root / config.path)
        self._stores.append(store)
        return store

    def _chunker(self, job: IngestJob, embedder: Embedder) -> Chunker:
        options = ChunkOptions(job.chunk.size, job.chunk.overlap)
        return cast(Chunker, registry.load("chunkers", job.chunk.by)(embedder.tokenizer or ByteTokenizer(), options))

    def _embedder(self, job: EmbedJob | IngestJob | QueryJob) -> Embedder:
        config = job.embedder
        name = repr(config) + repr(sorted(config.secrets()))
        if name not in self._embedders:
            embedder = self._embedders[name] = self._build_embedder(config)
            # What the file does not state stays as the provider has it.
            embedder.batch = replace(embedder.batch, **{limit: value for limit, value in config.batch if value is not None})
        return self._embedders[name]

    def _tokenizer_of(self, config: EmbedderConfig) -> str | None:
        name = config.tokenizer
        return str(self.root / name) if name and name.endswith(".json") else name

    def _llm(self, config: LlmConfig) -> Llm:
        name = repr(config) + repr(sorted(config.secrets()))
        if name not in self._llms:
            self._llms[name] = self._build_llm(config)
        return self._llms[name]

    def _build_llm(self, config: LlmConfig) -> Llm:
        def build(place: EndpointConfig | None = None) -> Llm:
            manners = self.places.manners(config, place)
            return build_llm(
                config,
                place,
                limiter=manners.limiter,
                circuit=manners.circuit,
                budget=manners.budget,
                clock=self.clock,
                rng=self.rng,
                environ=self.environ,
            )

        if not config.endpoints:
            return build()
        from asyncrun.llms.openai import OpenAIChat
        from asyncrun.llms.several import SeveralChats

        llms = [build(place) for place in config.places()]
        if not all(isinstance(llm, OpenAIChat) for llm in llms):
            raise UsageError(f"the provider {config.provider} has no endpoints to choose from", hint="Leave `endpoints` out.")
        return SeveralChats(cast(list[OpenAIChat], llms), warn=self.warn)

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
        if config.provider == "local":
            return cast(Embedder, adapter(**shared))
        if not config.endpoints:
            return self._build_place(adapter, config, shared)
        from asyncrun.embedders.remote import RemoteEmbedding
        from asyncrun.embedders.several import SeveralPlaces

        embedders = [self._build_place(adapter, config, shared, place) for place in config.places()]
        if not all(isinstance(embedder, RemoteEmbedding) for embedder in embedders):
            raise UsageError(f"the provider {config.provider} has no endpoints to choose from", hint="Leave `endpoints` out.")
        several = cast(list[RemoteEmbedding], embedders)
        first, documents = several[0], InputType.DOCUMENT
        reference = Reference(self.ledger, first.space(documents), first.as_sent(KNOWN_TEXT, documents))
        return SeveralPlaces(several, reference=reference, warn=self.warn)

    def _build_place(
        self, adapter: Callable[..., Any], config: EmbedderConfig, shared: Mapping[str, Any], place: EndpointConfig | None = None
    ) -> Embedder:
        """Return the embedder of one place: one of the `endpoints`, or the only one."""
        where, manners = place or config, self.places.manners(config, place)
        optional = {
            "model": config.model,
            "base_url": where.base_url,
            "api_version": config.api_version,
            "params": config.params or None,
            "options": config.options or None,
            "tokenizer": self._tokenizer_of(config),
            "http2": config.http2 or None,
        }
        return cast(
            Embedder,
            adapter(
                api_key=key_of(where),
                input_type=config.input_type,
                retry=config.retry.policy,
                timeout=config.timeout,
                price_per_million_tokens=config.price_per_million_tokens,
                headers={name: value.get_secret_value() for name, value in config.headers.items()},
                extra_body=config.extra_body,
                environ=self.environ,
                limiter=manners.limiter,
                circuit=manners.circuit,
                budget=manners.budget,
                named=manners.named,
                clock=self.clock,
                rng=self.rng,
                warn=self.warn,
                **{name: value for name, value in optional.items() if value is not None},
                **shared,
            ),
        )


def _check_formats(job: Job) -> None:
    """Find out whether the extras and plugins that the job's files need can be used. Raises UsageError."""
    used = {("readers", input_format(path) if job.input.format == "auto" else job.input.format) for path in job.input.paths}
    used |= {("writers", job.output.format)} if isinstance(job, EmbedJob | QueryJob) else set()
    for port, name in used:
        built_in = None if name is None else registry.BUILT_IN[port].get(name)
        if name is not None and (built_in is None or built_in.extra):
            registry.load(port, name)


def read_skip(path: Path) -> frozenset[str]:
    """Return the ids of a skip file. Raises StorageError."""
    try:
        return frozenset(parse_ids(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the skip file {path}: {os_words(error)}", hint="Correct `skip` in the job file.") from error


def output_path(job: Job) -> str | None:
    """Return the path of a job's output as the job file has it, None for a job without one."""
    return job.output.path if isinstance(job, EmbedJob | QueryJob) else None
