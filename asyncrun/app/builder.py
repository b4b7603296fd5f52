"""From the job file's words to parts that work: inputs, outputs, stores and the surroundings of each job."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from asyncrun import registry
from asyncrun.aio.stop import StopRequest
from asyncrun.app.model_builder import ModelBuilder, SharedLimits, model_identity
from asyncrun.app.request import Request
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import StorageError, os_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Chunking, Job, batch_models, setting_of
from asyncrun.jobfile.sections import EmbedderConfig, ExecutorConfig, LlmConfig, StoreConfig
from asyncrun.jobs.budget import JobBudget, RunBudget
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.forecast import Forecast, TokenRate
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.job_records import SpendingAccount, generation_of, has_waiting_batches
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.spaces import token_rate
from asyncrun.ports import Executor, Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import InputType, Space
from asyncrun.results import ExecutorUse
from asyncrun.state_folder import job_file_id
from asyncrun.writers.interface import companions, open_writer

if TYPE_CHECKING:
    from asyncrun.batches.interface import BatchEndpoint, Purpose
    from asyncrun.chunkers.interface import Chunker
    from asyncrun.executors.watched import WatchedExecutor
    from asyncrun.jobs.delivery.work import Delivery
    from asyncrun.llms.interface import Llm
    from asyncrun.readers.loaded_records import LoadedRecords
    from asyncrun.readers.read_ahead import ParserSource
    from asyncrun.stores.interface import VectorStore


@dataclass(eq=False)
class JobBuilder:
    """Builds the parts of one run; models are built once for all jobs.

    Args:
        request: what was called for.
        job_file: all of it: limits that one model states of an endpoint hold for the others, and a job that is not run may fill the
            collection that another one asks.
        stdin: the file that holds standard input.
        warn: is told what is odd.
        redact: takes the run's secrets out of a text.
        forecast: that of all jobs together.
        loop: where the jobs are run; None where they are only looked at, as by a plan: that needs no cluster, whatever the file says.

    `executor` is where calls run, None where that is this process.
    """

    request: Request
    job_file: JobFile
    ledger: Ledger
    stop: StopRequest = field(default_factory=StopRequest)
    clock: Clock = field(default_factory=SystemClock)
    manager: CallbackManager = field(default_factory=CallbackManager)
    stdin: Path | None = None
    warn: Callable[[str], object] = Progress().warn
    redact: Callable[[str], str] = str
    forecast: Forecast = field(default_factory=Forecast)
    loop: asyncio.AbstractEventLoop | None = None
    models: ModelBuilder = field(init=False)
    executor: WatchedExecutor | None = None
    _own_executor: Executor | None = None
    _deadline: float | None = None
    _run_budget: RunBudget | None = None
    _stores: list[VectorStore] = field(default_factory=list)
    _batch_endpoints: dict[str, BatchEndpoint] = field(default_factory=dict)
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _loaded: dict[str, LoadedRecords] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = random.Random()  # noqa: S311  # jitter, no secret
        limits = SharedLimits(self.clock, rng, self.request.environ, self.job_file.models(), self.shards)
        self.models = ModelBuilder(limits, self.root, self.ledger, self.warn)
        if self.loop is not None and (self.options.executor is not None or self.job_file.executor.type != "local"):
            self._use_executor(self.options.executor, self.job_file.executor)
        if self.options.max_runtime is not None:
            self._deadline = self.clock.monotonic() + self.options.max_runtime
        if self.options.max_cost is not None:
            self._run_budget = RunBudget(self.options.max_cost / self.shards)

    def _use_executor(self, given: str | Executor | None, config: ExecutorConfig) -> None:
        from asyncrun.app.build_section import build_executor
        from asyncrun.executors.watched import WatchedExecutor

        if not isinstance(given, Executor):
            if config.type == "local":
                return
            given = self._own_executor = build_executor(config)
        self.executor = self.models.executor = WatchedExecutor(given, self.clock, self.warn)
        self.models.threads = max(int(config.cpus), 1)

    @property
    def file(self) -> Path:
        """Return the job file."""
        return self.request.file

    @property
    def root(self) -> Path:
        """Return the folder where relative paths start."""
        return self.job_file.root

    @property
    def jobs(self) -> Sequence[Job]:
        """Return all jobs of the file, also those that are not run."""
        return self.job_file.jobs

    @property
    def options(self) -> RunOptions:
        """Return the options of the run."""
        return self.request.options

    @property
    def shards(self) -> int:
        """Return how many parts the work is divided into, 1 for the whole."""
        return 1 if self.options.shard is None else self.options.shard.of

    def executor_use(self) -> ExecutorUse | None:
        """Return what the workers of an executor have done so far, None without one."""
        return None if self.executor is None else self.executor.use()

    def job_id(self, job: Job) -> str:
        """Return the name that the ledger keeps a job under, or the run's shard of it. Blocks."""
        suffix = "" if self.options.shard is None else self.options.shard.suffix
        return self._whole_id(job) + suffix

    def _whole_id(self, job: Job) -> str:
        return f"{job_file_id(self.ledger.folder, self.file)}/{job.name}"

    async def aclose(self) -> None:
        """Close everything that was opened."""
        await self.models.aclose()
        for endpoint in self._batch_endpoints.values():
            await endpoint.aclose()
        if self._own_executor is not None:
            await self._own_executor.aclose()
        for store in self._stores:
            await asyncio.to_thread(store.close)
        for documents in self._loaded.values():
            await asyncio.to_thread(documents.close)

    def embedder(self, job: Job) -> Embedder:
        """Return the embedder of a job. Blocks."""
        return self.models.embedder(job.embedder)

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model. Blocks."""
        return self.models.llm(config)

    def store(self, config: StoreConfig) -> VectorStore:
        """Return a store, which is closed with everything else. Blocks. Raises UsageError for what its type does not take."""
        from asyncrun.app.build_section import build_store

        store = build_store(config, self.root)
        self._stores.append(store)
        return store

    def chunker(self, config: Chunking, embedder: Embedder) -> Chunker:
        """Return what cuts documents, in tokens of an embedder. Blocks."""
        from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions

        options = ChunkOptions(config.size, config.overlap)
        return cast("Chunker", registry.load("chunkers", config.by)(embedder.tokenizer or ByteTokenizer(), options))

    def items(self, job: Job, input_type: InputType) -> Items:
        """Return the items of a job's input, as its embedder gets them. Blocks."""
        embedder = self.embedder(job)
        context = self.context(job, embedder.space(input_type))
        return Items(self.source(job.input), embedder, input_type, job.embedder.on_empty, context)

    def source(self, config: InputConfig) -> DistinctSource:
        """Return an input, its first items where the run is limited, and those of the run's shard.

        What a job has made of a shard is that shard's as a whole.
        """
        shard = self.options.shard
        if shard is not None:
            from asyncrun.app.partial_runs import is_made_of_shard

            shard = None if is_made_of_shard(config, self.jobs, shard, self.root) else shard
        return DistinctSource(self.whole_source(config), self.options.limit, shard)

    def whole_source(self, config: InputConfig) -> ItemSource:
        """Return an input with all its items."""
        return ItemSource(
            base=self.root,
            paths=() if config.sql else config.paths,
            inline=config.items,
            exclude=config.exclude,
            format="auto" if config.options else config.format,
            text=config.text,
            id=config.id,
            metadata=config.metadata,
            root=config.root,
            encoding=config.encoding,
            delimiter=config.delimiter,
            duplicates=config.duplicates,
            allow_empty=config.allow_empty,
            left_out=config.leaves_out,
            stdin=self.stdin,
            loaded=self.loaded(config) if config.options or config.sql else None,
            parsers=self._parsers(),
        )

    def _parsers(self) -> ParserSource | None:
        """Return what parses documents on the nodes of a cluster; on this machine they are parsed in processes, whatever the executor."""
        if self.executor is None or self.loop is None or self.job_file.executor.type in ("local", "processes"):
            return None
        from asyncrun.readers.worker_parsers import ParserPart, WorkerParsers

        return WorkerParsers(self.executor, self.loop, ParserPart(self.models.threads))

    def loaded(self, config: InputConfig) -> LoadedRecords:
        """Return what a query or a reader of LlamaIndex yields, loaded once for all jobs that name it alike. Raises UsageError."""
        url = None if config.url is None else config.url.get_secret_value()
        identity = repr((config.options, config.sql, url, config.paths))
        if identity not in self._loaded:
            self._loaded[identity] = self._to_load(config, url)
        return self._loaded[identity]

    def _to_load(self, config: InputConfig, url: str | None) -> LoadedRecords:
        if config.sql is None:
            from asyncrun.readers.llama_index import LlamaIndexDocuments

            return LlamaIndexDocuments(config.options)
        from asyncrun.readers.sql import PostgresRows, SqliteRows

        return SqliteRows(self.root / config.paths[0], config.sql) if config.paths else PostgresRows(url or "", config.sql)

    def output(self, config: OutputConfig) -> JobOutput:
        """Return an output of a job."""
        path = None if config.path == STDOUT else self.root / config.path
        form = f"{config.format} {config.columns}"
        # Standard output of a notebook has no bytes beneath it.
        stdout = sys.stdout.buffer if path is None else None
        writer = partial(open_writer, path or STDOUT, config.format, stdout, config.columns)
        return JobOutput(path, config.path, form, writer, () if path is None else companions(path, config.format))

    def output_at(self, path: str) -> JobOutput:
        """Return an output that a flag names: relative to the working directory, its format from its ending."""
        return self.output(OutputConfig(path=path if path == STDOUT else str(Path(path).absolute())))

    def context(self, job: Job, space: Space) -> JobContext:
        """Return the surroundings of a job whose vectors are of a space. Blocks."""
        tokens, size = token_rate(self.ledger, space)
        own = None if job.max_runtime is None else self.clock.monotonic() + job.max_runtime
        return JobContext(
            name=job.name,
            job_id=self.job_id(job),
            ledger=self.ledger,
            stop=self.stop,
            clock=self.clock,
            manager=self.manager,
            max_failures=job.max_failures,
            skip=read_skip(self.root / job.skip) if job.skip else frozenset(),
            workers=self.options.workers or job.workers,
            deadline=min((moment for moment in (own, self._deadline) if moment is not None), default=None),
            rate=TokenRate(tokens, size),
            forecast=self.forecast,
            budget=self._budget(job),
            generation=generation_of(self.ledger, self._whole_id(job)),
            options=self.options,
            executor=self.executor,
            redact=self.redact,
            deliveries=self._deliveries(job),
        )

    def _deliveries(self, job: Job) -> Mapping[Purpose, Callable[[], Delivery]]:
        """Return what opens where the batches of a job go, for those of its models that are not asked online."""
        opening: dict[Purpose, Callable[[], Delivery]] = {}
        for model in batch_models(job).values():
            if model.delivery == "batch":
                opening[model.purpose] = partial(self._delivery, job, model)
            elif has_waiting_batches(self.ledger, self.job_id(job), model.purpose):
                self.warn(f"{job.name}: {LEFT_WAITING}")
        return opening

    def _delivery(self, job: Job, model: EmbedderConfig | LlmConfig) -> Delivery:
        from asyncrun.jobs.delivery.work import Delivery

        identity = model_identity(model)
        with self._opening:  # Jobs that start at once open theirs in threads of their own.
            if identity not in self._batch_endpoints:
                self._batch_endpoints[identity] = self.models.batch_endpoint(model)
        online = setting_of(job, "stragglers") == "online"
        return Delivery(self._batch_endpoints[identity], self.models.limits.rng, online, setting_of(job, "deadline"))

    def _budget(self, job: Job) -> JobBudget | None:
        shards, stated = self.shards, job.budget
        tokens = None if stated.tokens is None else stated.tokens // shards
        cost = None if stated.cost is None else stated.cost / shards
        budget = JobBudget(SpendingAccount(self.ledger, self.job_id(job)), tokens, cost, self._run_budget)
        if budget.durable:
            budget.spent, budget.stopped = budget.account.balance()
        return budget if budget.durable or self._run_budget is not None else None


LEFT_WAITING = (
    "batches of it wait at their provider, and are not collected with `delivery: online`: what is in them is paid twice."
    " `asyncrun batches` shows them; with `delivery: batch` they are collected"
)


def read_skip(path: Path) -> frozenset[str]:
    """Return the ids of a skip file. Raises StorageError."""
    from asyncrun.grammar.file_formats import parse_ids

    try:
        return frozenset(parse_ids(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the skip file {path}: {os_words(error)}", hint="Correct `skip` in the job file.") from error
