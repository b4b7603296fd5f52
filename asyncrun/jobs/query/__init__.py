"""The kind `query`: what its jobs hold, and how one is checked and opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from pydantic import Field

from asyncrun.jobfile.field_types import Count, DeadlineField, DeliveryField, Text
from asyncrun.jobfile.job_keys import QueryKeys
from asyncrun.jobfile.jobs import CheckContext, Job, LlmField, OutputField, PromptField, StoredCollection, StoreField
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.jobs.interface import Builder, JobKind, JobProblem, embedder_spaces
from asyncrun.records import InputType, Space

if TYPE_CHECKING:
    from asyncrun.jobfile.entries import JobEntry
    from asyncrun.jobs.query.questions import Answering
    from asyncrun.jobs.query.run import QueryRun


class QueryJob(Job):
    """Asks a store; `output` gets one row a question.

    >>> import asyncrun, tempfile
    >>> fill = {"name": "fill", "kind": "ingest", "input": {"items": ["Cats purr.", "Dogs bark."]}}
    >>> ask = QueryJob(name="ask", input={"items": ["Who purrs?"]}, top_k=1, output="hits.jsonl")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [row["hits"][0]["text"] for row in asyncrun.run([fill, ask], folder=folder).rows("ask")]
    ['Cats purr.']
    """

    rows_hold_hits: ClassVar[bool] = True
    asks_by_batches: ClassVar[tuple[str, ...]] = ("embedder", "llm")
    descriptions: ClassVar[Mapping[str, str]] = {
        "top_k": "How many hits a question gets.",
        "search": "By meaning, by words, or both.",
        "filter": "A condition on metadata, such as lang = 'en' and year >= 2024.",
        "llm": "A model's name or settings: it answers each question from its hits.",
        "prompt": "The prompt: a text, {text: ...}, or {path: FILE}.",
        "context_tokens": "How many tokens of hits a prompt holds; default: all hits.",
    }

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[QueryKeys]) -> None:
            """Take the keys of an entry in a job file, in the same forms."""

    kind: Literal["query"]
    store: StoreField = Field(default_factory=StoreConfig)
    collection: Text = "documents"
    top_k: Count = 5
    search: Literal["vector", "keyword", "hybrid"] = "vector"
    filter: Text | None = None
    llm: LlmField | None = None
    prompt: PromptField | None = None
    context_tokens: Count | None = None
    deadline: DeadlineField | None = None
    stragglers: DeliveryField = "batch"
    output: OutputField

    @property
    def asks(self) -> StoredCollection:
        """Return the collection that it asks."""
        return StoredCollection(self.store, self.collection)

    @property
    def files(self) -> Mapping[str, str | None]:
        """Return the files that it reads beside its input, by what they are."""
        return {**super().files, "prompt": None if self.prompt is None else self.prompt.path}

    def check(self, entry: JobEntry, context: CheckContext) -> None:
        """Add what is wrong with filter, model and prompt to the findings."""
        from asyncrun.jobs.query.checks import check_keys

        check_keys(self, entry, context)


def open_query(job: QueryJob, builder: Builder) -> QueryRun:
    """Return a query job with all that it needs. Blocks."""
    from asyncrun.jobs.query.checks import fill_hint, filled_fields, rebuilding, repair_hint
    from asyncrun.jobs.query.run import QueryRun, Search

    rebuilt_by, rebuild_hint = rebuilding(job, builder)
    return QueryRun(
        items=builder.items(job, InputType.QUERY),
        store=builder.store(job.store),
        search=Search(job.collection, job.search, job.top_k, job.filter),
        output=builder.output(job.output),
        answering=_foreseeing(_answering(job, builder), builder),
        fill_hint=fill_hint(job, builder),
        repair_hint=repair_hint(job, builder),
        rebuild_hint=rebuild_hint,
        rebuilt_by=tuple(rebuilt_by),
        filled_fields=filled_fields(job, builder),
    )


def _answering(job: QueryJob, builder: Builder) -> Answering | None:
    from asyncrun.jobs.query.questions import build_answering

    return None if job.llm is None else build_answering(job, builder.llm(job.llm), builder.root)


def _foreseeing(answering: Answering | None, builder: Builder) -> Answering | None:
    """Return how a job answers, with what the ledger knows of former answers."""
    if answering is None:
        return None
    from asyncrun.jobs.forecast import TokenRate
    from asyncrun.ledger.answers import mean_output
    from asyncrun.ledger.spaces import token_rate

    rate = TokenRate(*token_rate(builder.ledger, answering.space))
    return replace(answering, rate=rate, seen_answer=mean_output(builder.ledger, answering.space))


def _check(job: QueryJob, builder: Builder, jobs: Sequence[Job]) -> None:
    from asyncrun.jobs.query.checks import check_filled

    check_filled(job, builder, jobs)
    _answering(job, builder)


def _inspect(job: QueryJob, builder: Builder) -> Iterator[JobProblem]:
    from asyncrun.jobs.notes import filter_notes
    from asyncrun.jobs.query.checks import filled_fields, fillers, is_rebuilding
    from asyncrun.jobs.space_check import space_problems

    store = builder.store(job.store)
    if job.search != "keyword" and not any(is_rebuilding(other) for other in fillers(job, builder)):
        yield from space_problems(store, job.collection, job, builder)
    notes = filter_notes(store, job.collection, job.filter, filled_fields(job, builder))
    yield from (JobProblem(("filter",), note, refused=False) for note in notes)


def _spaces(job: QueryJob, builder: Builder) -> list[Space]:
    return [*embedder_spaces(job, builder), *([] if job.llm is None else [builder.llm(job.llm).space])]


def _row_fields(job: QueryJob, _: object) -> dict[str, str]:
    answered = {"answer": "text", "citations": "list", "finish_reason": "text", "usage": "unknown"}
    return {"id": "text", "query": "text", "hits": "list", **(answered if job.llm is not None else dict.fromkeys(answered, "unknown"))}


QUERY = JobKind(
    QueryJob,
    open_query,
    check=_check,
    inspect=_inspect,
    spaces=_spaces,
    row_fields=_row_fields,
    export=lambda job, builder, output: open_query(job, builder).export(output),
)
