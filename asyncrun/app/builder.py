"""From the job file's words to parts that work: inputs, outputs, stores and the surroundings of each job."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncrun import registry
from asyncrun.aio.stop import StopRequest
from asyncrun.app.flag_overrides import load_jobs
from asyncrun.app.model_builder import ModelBuilder, SharedLimits
from asyncrun.app.request import Request
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Chunking, Job
from asyncrun.jobfile.sections import LlmConfig, StoreConfig
from asyncrun.jobs.budget import JobBudget, RunBudget
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.forecast import Forecast, TokenRate
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ledger.job_records import SpendingAccount, generation_of
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.spaces import token_rate
from asyncrun.ports import Progress
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import InputType, Space
from asyncrun.redact import redact_error
from asyncrun.state_folder import LEDGER, job_file_id, state_file_exists, state_folder
from asyncrun.writers.interface import companions, open_writer

if TYPE_CHECKING:
    from asyncrun.chunkers.interface import Chunker
    from asyncrun.llms.interface import Llm
    from asyncrun.readers.llama_index import LlamaIndexDocuments
    from asyncrun.stores.interface import VectorStore


T = TypeVar("T")


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
    models: ModelBuilder = field(init=False)
    _deadline: float | None = None
    _run_budget: RunBudget | None = None
    _stores: list[VectorStore] = field(default_factory=list)
    _documents: dict[str, LlamaIndexDocuments] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = random.Random()  # noqa: S311  # jitter, no secret
        limits = SharedLimits(self.clock, rng, self.request.environ, self.job_file.models())
        self.models = ModelBuilder(limits, self.root, self.ledger, self.warn)
        if self.options.max_runtime is not None:
            self._deadline = self.clock.monotonic() + self.options.max_runtime
        if self.options.max_cost is not None:
            self._run_budget = RunBudget(self.options.max_cost)

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

    def job_id(self, job: Job) -> str:
        """Return the name that the failed items of a job are kept under. Blocks."""
        return f"{job_file_id(self.ledger.folder, self.file)}/{job.name}"

    async def aclose(self) -> None:
        """Close everything that was opened."""
        await self.models.aclose()
        for store in self._stores:
            await asyncio.to_thread(store.close)
        for documents in self._documents.values():
            await asyncio.to_thread(documents.close)

    def embedder(self, job: Job) -> Embedder:
        """Return the embedder of a job. Blocks."""
        return self.models.embedder(job.embedder)

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model. Blocks."""
        return self.models.llm(config)

    def store(self, config: StoreConfig) -> VectorStore:
        """Return a store, which is closed with everything else. Blocks. Raises UsageError for what its type does not take."""
        adapter = registry.load("stores", config.type)
        store: VectorStore = adapter(self.root / config.path, **store_settings(config, adapter))
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
            format="auto" if config.options else config.format,
            text=config.text,
            id=config.id,
            metadata=config.metadata,
            root=config.root,
            duplicates=config.duplicates,
            allow_empty=config.allow_empty,
            stdin=self.stdin,
            documents=self.documents(config) if config.options else None,
        )

    def documents(self, config: InputConfig) -> LlamaIndexDocuments:
        """Return the documents of a reader of LlamaIndex, loaded once for all jobs that name it alike. Raises UsageError."""
        from asyncrun.readers.llama_index import LlamaIndexDocuments

        identity = repr(config.options)
        if identity not in self._documents:
            self._documents[identity] = LlamaIndexDocuments(config.options)
        return self._documents[identity]

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
            generation=generation_of(self.ledger, self.job_id(job)),
            options=self.options,
            redact=self.redact,
        )

    def _budget(self, job: Job) -> JobBudget | None:
        budget = JobBudget(SpendingAccount(self.ledger, self.job_id(job)), job.budget.tokens, job.budget.cost, self._run_budget)
        if budget.durable:
            budget.spent, budget.stopped = budget.account.balance()
        return budget if budget.durable or self._run_budget is not None else None


@asynccontextmanager
async def open_builder(request: Request, *, need_keys: bool = False) -> AsyncIterator[tuple[JobBuilder, tuple[Job, ...]]]:
    """Open what the selected jobs of a file need, for looking only: no lock, and nothing is written beside the job file."""
    async with AsyncExitStack() as stack:
        selection = await asyncio.to_thread(partial(load_jobs, request, need_keys=need_keys))
        path = (await asyncio.to_thread(state_folder, request.file, request.state_dir)) / LEDGER
        if not await asyncio.to_thread(state_file_exists, path):
            # Without a ledger all is new: an empty one elsewhere says so, and the folder stays untouched.
            elsewhere = await asyncio.to_thread(_open_elsewhere)
            stack.push_async_callback(asyncio.to_thread, elsewhere.cleanup)
            path = Path(elsewhere.name) / LEDGER
        ledger = Ledger(path)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        builder = JobBuilder(request, selection.job_file, ledger)
        stack.push_async_callback(builder.aclose)
        try:
            yield builder, selection.jobs
        except Exception as error:
            # Whoever shows it does not know the secrets of this job file.
            redact_error(error, selection.redactor(request.environ).redact)
            raise


def _open_elsewhere() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {os_words(error)}", hint="Make room on the disk, or set TMPDIR.") from error


def store_settings(config: StoreConfig, adapter: Callable[..., VectorStore]) -> dict[str, Any]:
    """Return what is stated of a store beside its path, by the names of an adapter's arguments.

    Raises UsageError for what the adapter does not take.
    """
    settings = {
        "options": config.options or None,
        "url": config.url and config.url.get_secret_value(),
        "api_key": config.api_key and config.api_key.get_secret_value(),
        "schema": config.schema_name,
        "index": config.index,
        "create": None if config.create else False,
    }
    stated = {name: value for name, value in settings.items() if value is not None}
    taken = signature(adapter).parameters
    if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values()) and (unknown := stated.keys() - taken.keys()):
        name = min(unknown)
        raise UsageError(f"the store type {config.type} does not take `{name}`", hint=f"Leave `{name}` of the store out.")
    return stated


def read_skip(path: Path) -> frozenset[str]:
    """Return the ids of a skip file. Raises StorageError."""
    from asyncrun.grammar.file_formats import parse_ids

    try:
        return frozenset(parse_ids(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the skip file {path}: {os_words(error)}", hint="Correct `skip` in the job file.") from error


async def until_interrupted(work: Coroutine[Any, Any, T], stop: StopRequest) -> T:
    """Return what the work returns. When it is cancelled, as by Ctrl-C, it is told to stop and waited for: no thread can be cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.request("interrupted")
        await asyncio.gather(task, return_exceptions=True)
        raise
