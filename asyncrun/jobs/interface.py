"""What a kind of job is: the model of its jobs, and how one is checked, opened, planned, run and exported.

A kind stands under its name in the registry, or under the entry point group `asyncrun.kinds`; both are opened by the same call and get
the same builder. Only the kinds that a job file uses are imported: the module of a `JobKind` imports what runs it inside of its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from asyncrun.ports import JobRun
from asyncrun.records import InputType, Space
from asyncrun.results import Counts
from asyncrun.short_help import ShortHelp, ShortHelpProtocol

if TYPE_CHECKING:
    from asyncrun.chunkers.interface import Chunker
    from asyncrun.embedders.interface import Embedder
    from asyncrun.jobfile.input_output import InputConfig, OutputConfig
    from asyncrun.jobfile.jobs import Chunking, Job
    from asyncrun.jobfile.sections import LlmConfig, StoreConfig
    from asyncrun.jobs.context import JobContext
    from asyncrun.jobs.items import Items
    from asyncrun.jobs.outputs import JobOutput
    from asyncrun.jobs.run_options import RunOptions
    from asyncrun.ledger.ledger import Ledger
    from asyncrun.llms.interface import Llm
    from asyncrun.readers.distinct_items import DistinctSource
    from asyncrun.stores.interface import VectorStore

J = TypeVar("J", bound="Job")


class Builder(Protocol, metaclass=ShortHelpProtocol):
    """Builds the parts that a job works with, from the job file's words; what it has opened is closed with it.

    Models are built once for all jobs of a run. Every method blocks, and raises UsageError for what cannot be used.

    >>> def check(job: Job, builder: Builder) -> None:
    ...     builder.embedder(job)  # Raises UsageError where it cannot be used.
    ...     builder.source(job.input)
    >>> kind = JobKind(None, open=None, check=lambda job, builder, jobs: check(job, builder))
    """

    @property
    def file(self) -> Path:
        """Return the job file."""

    @property
    def root(self) -> Path:
        """Return the folder where its relative paths start."""

    @property
    def jobs(self) -> Sequence[Job]:
        """Return all jobs of the file, also those that are not run."""

    @property
    def options(self) -> RunOptions:
        """Return the options of the run."""

    @property
    def ledger(self) -> Ledger:
        """Return where finished vectors and answers are."""

    def embedder(self, job: Job) -> Embedder:
        """Return the embedder of a job."""

    def llm(self, config: LlmConfig) -> Llm:
        """Return a chat model."""

    def store(self, config: StoreConfig) -> VectorStore:
        """Return a store."""

    def chunker(self, config: Chunking, embedder: Embedder) -> Chunker:
        """Return what cuts documents, in tokens of an embedder."""

    def source(self, config: InputConfig) -> DistinctSource:
        """Return an input."""

    def output(self, config: OutputConfig) -> JobOutput:
        """Return an output."""

    def context(self, job: Job, space: Space) -> JobContext:
        """Return the surroundings of a job whose vectors are of a space."""

    def items(self, job: Job, input_type: InputType) -> Items:
        """Return the items of a job's input, as its embedder gets them."""


@dataclass(frozen=True, slots=True)
class JobProblem(metaclass=ShortHelp):
    """One thing that is wrong with a job, at a path of its keys; `refused` says whether a run of it cannot begin.

    >>> JobProblem(("store", "path"), "holds vectors of another embedder", hint="Use another collection.").refused
    True
    """

    path: tuple[str, ...]
    message: str
    hint: str = ""
    refused: bool = True


@dataclass(frozen=True, slots=True)
class JobKind(Generic[J], metaclass=ShortHelp):
    """A kind of job. Only what asks no server may be done outside of a run.

    Args:
        model: what its entries of the job file hold.
        open: returns a job with all that it needs. Blocks. Raises what its parts raise.
        check: finds out what is wrong with its parts before the first job starts, given all jobs of the call. Blocks. Raises UsageError.
        inspect: yields what else is wrong with it, as a collection of another embedder. Blocks.
        spaces: returns the spaces that its vectors and answers come into, None for a kind that does not tell. Blocks.
        export: writes the rows that are done now; None for a kind that has none. Blocks.
        row_fields: returns the fields of its rows as far as its keys tell, None where they tell nothing: each with those of the object
            there, or with what it is: `text`, `list`, `unknown`. Files start at the folder; without one none is looked into. Blocks.
        prompted: returns the key that names fields of the input beside the input's own keys, and the input with these fields; None for a
            kind without such a key. Blocks.
        remarks: returns what is to be said of its keys that is no mistake, None for a kind that says nothing. Files start at the
            folder. Blocks.

    >>> from asyncrun.jobs import EmbedJob
    >>> from asyncrun.jobs.embed import open_embed
    >>> JobKind(EmbedJob, open_embed, spaces=embedder_spaces).model.__name__
    'EmbedJob'
    """

    model: type[J]
    open: Callable[[J, Builder], JobRun]
    check: Callable[[J, Builder, Sequence[Job]], None] | None = None
    inspect: Callable[[J, Builder], Iterable[JobProblem]] | None = None
    spaces: Callable[[J, Builder], Collection[Space]] | None = None
    export: Callable[[J, Builder, JobOutput], Counts] | None = None
    row_fields: Callable[[J, Path | None], Mapping[str, Any] | None] | None = None
    prompted: Callable[[J, Builder], tuple[str, InputConfig]] | None = None
    remarks: Callable[[J, Path], Sequence[str]] | None = None


def embedder_spaces(job: Job, builder: Builder) -> list[Space]:
    """Return the spaces that an embedder's vectors may come into. Blocks.

    >>> from types import SimpleNamespace
    >>> from asyncrun.embedders import LocalEmbedding
    >>> builder = SimpleNamespace(embedder=lambda job: LocalEmbedding())
    >>> [space.provider for space in embedder_spaces(None, builder)]
    ['local', 'local']
    """
    return [builder.embedder(job).space(input_type) for input_type in InputType]


def find_kind(name: str) -> JobKind[Any]:
    """Return a kind. Raises UsageError for a name that nobody offers, or that cannot be imported.

    A plugin may be a function alone, which takes a job and a builder and returns what is planned and run.
    """
    from asyncrun import registry
    from asyncrun.jobfile.jobs import PluginJob

    found = registry.load("kinds", name)
    return found if isinstance(found, JobKind) else JobKind(PluginJob, found)
