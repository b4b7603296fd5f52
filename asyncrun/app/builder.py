"""From the job file's words to parts that work: inputs, outputs, stores and the surroundings of each job."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from asyncrun import registry
from asyncrun.aio.stop import StopRequest
from asyncrun.app.model_builder import ModelBuilder
from asyncrun.app.shared_limits import SharedLimits
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import Clock
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import Mistake, StorageError, os_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.jobs import Chunking, Job
from asyncrun.jobfile.sections import LlmConfig, ModelConfig, StoreConfig
from asyncrun.jobs.budget import JobBudget, RunBudget
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.distinct import DistinctSource
from asyncrun.jobs.forecast import Forecast, TokenRate
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.job_records import SpendingAccount, generation_of
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.space_records import token_rate
from asyncrun.paths import known_as
from asyncrun.ports import Progress
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import InputType, Space
from asyncrun.writers.interface import companions, open_writer

if TYPE_CHECKING:
    from asyncrun.chunkers.interface import Chunker
    from asyncrun.llms.interface import Llm
    from asyncrun.stores.interface import Store


@dataclass(eq=False)
class JobBuilder:
    """Builds the parts of one run; models are built once for all jobs.

    Args:
        file: the job file.
        models: all of its models: limits that one states for a place hold for all models of the place.
        jobs: all of its jobs, also those that are not run: one of them may fill the collection that another one asks.
        keyless: where it names a key that is missing.
        stdin: the file that holds standard input.
        deadline: a monotonic time after which no batch of any job starts.
        warn: is told what is odd.
        redact: takes the run's secrets out of a text.
        options: what the flags of the run say; `run_budget` and `forecast` are those of all its jobs together.
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
    _stores: list[Store] = field(default_factory=list)
    _models: ModelBuilder = field(init=False)

    def __post_init__(self) -> None:
        self._models = ModelBuilder(
            self.models,
            file=self.file,
            ledger=self.ledger,
            clock=self.clock,
            rng=self.rng,
            environ=self.environ,
            warn=self.warn,
        )

    @property
    def root(self) -> Path:
        """Return the folder where relative paths start."""
        return self.file.absolute().parent

    @property
    def shared_limits(self) -> SharedLimits:
        """Return the places that models are served at, with their limits."""
        return self._models.shared_limits

    def failures_of(self, job: Job) -> str:
        """Return the name that the failed items of a job are kept under. Blocks."""
        return f"{known_as(self.ledger.folder, self.file)}/{job.name}"

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        await self._models.renew_connections()

    async def aclose(self) -> None:
        """Close everything that was opened."""
        await self._models.aclose()
        for store in self._stores:
            await asyncio.to_thread(store.close)

    def embedder(self, job: Job) -> Embedder:
        """Return the embedder of a job. Blocks."""
        return self._models.embedder(job.embedder)

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model. Blocks."""
        return self._models.llm(config)

    def store(self, config: StoreConfig) -> Store:
        """Return a store, which is closed with everything else. Blocks."""
        store: Store = registry.load("stores", config.type)(self.root / config.path)
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
        """Return an input, its first items where the run is limited."""
        return DistinctSource(self.whole_source(config), self.options.limit)

    def whole_source(self, config: InputConfig) -> ItemSource:
        """Return an input with all its items."""
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

    def output(self, config: OutputConfig) -> JobOutput:
        """Return an output of a job."""
        path = None if config.path == STDOUT else self.root / config.path
        form = f"{config.format} {config.columns}"
        writer = partial(open_writer, path or STDOUT, config.format, sys.stdout.buffer, config.columns)
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


def read_skip(path: Path) -> frozenset[str]:
    """Return the ids of a skip file. Raises StorageError."""
    from asyncrun.grammar.file_formats import parse_ids

    try:
        return frozenset(parse_ids(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the skip file {path}: {os_words(error)}", hint="Correct `skip` in the job file.") from error
