"""Whether a query job can be asked: its filter, model and prompt can be used, and what fills its collection, if it is not there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncrun.errors import DamagedStoreError, UsageError
from asyncrun.grammar.filter import FilterError, parse_filter
from asyncrun.grammar.prompt import METADATA, PLACEHOLDERS, parse_prompt
from asyncrun.humanize import did_you_mean
from asyncrun.jobfile.checks import VECTORS_ALONE, check_llm
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.jobs import CheckContext, Job, Prompt
from asyncrun.jobfile.mistakes import Findings, listed, suggest
from asyncrun.jobfile.yaml_tree import KeyPath, Table
from asyncrun.jobs.prompt_text import find_prompt, parse_found
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.jobs.interface import Builder
    from asyncrun.jobs.query import QueryJob

FILTERS = "lang = 'en' and (year >= 2024 or not draft = true), with texts in single quotes"


def check_keys(job: QueryJob, entry: JobEntry, context: CheckContext) -> None:
    """The filter can be read; a prompt belongs to a model and is a template."""
    findings = context.findings
    if job.filter is not None:
        _check_filter(job.filter, entry.path("filter"), findings)
    if job.search != "vector" and job.store.type in VECTORS_ALONE and not findings.knows(entry.path("search")):
        findings.add(entry.path("search"), f"a store of the type {job.store.type} has no {job.search} search", "vector")
    if job.llm is not None and isinstance(findings.node(entry.path("llm")), Table):
        check_llm(job.llm, entry.path("llm"), context.names, findings)
    for key in ("prompt", "context_tokens"):
        # A default may stand there for the jobs that answer.
        if getattr(job, key) is not None and job.llm is None and key not in entry.inherited and not findings.knows(entry.path("llm")):
            findings.add(entry.path(key), "nobody answers: the job has no llm", "an llm, or no " + key, key=True)
    if job.prompt is not None:
        _check_prompt(job.prompt, entry, context)


def _check_filter(text: str, path: KeyPath, findings: Findings) -> None:
    if findings.knows(path):
        return
    try:
        parse_filter(text)
    except FilterError as error:
        # What was found may be the value of a variable.
        why = error.why if findings.quoted(path) else "it cannot be read on"
        findings.add(path, f"not a filter: position {error.position}: {why}", FILTERS)


def _check_prompt(prompt: Prompt, entry: JobEntry, context: CheckContext) -> None:
    found, findings = find_prompt(prompt, entry.path("prompt"), context), context.findings
    template = parse_found(found, parse_prompt, PLACEHOLDERS, findings) if found is not None else None
    if found is None or template is None:
        return
    kept = (entry.job.input.metadata or ()) if entry.job is not None else ()
    for name in (field.removeprefix(METADATA) for field in template.fields if field.startswith(METADATA)):
        if name not in kept and not any(name.startswith(f"{one}.") for one in kept):
            allowed = "one of input.metadata: " + (listed(kept) or "none is kept yet")
            findings.add(found.path, f"the questions keep no metadata {name!r}", allowed, suggest(name, kept))


def filled_fields(query: QueryJob, builder: Builder) -> tuple[str, ...] | None:
    """Return the fields of metadata that jobs put into the collection that another one asks, None where documents tell. Blocks."""
    fields: dict[str, None] = {}
    for job in fillers(query, builder):
        if job.input.metadata is None:
            return None
        fields.update(dict.fromkeys(job.input.metadata))
    return tuple(fields)


def fill_hint(query: QueryJob, builder: Builder) -> str | None:
    """Return what to do when the collection that a job asks is not there; None where no job of the file fills its store. Blocks."""
    if command := _filling(query, builder):
        if not builder.options.is_partial:
            return f"Run `{command}` first, which fills it."
        flag = "--limit" if builder.options.limit is not None else "--shard"
        return f"{flag} fills no store: run `{command}` first, without it."
    there = [(filled.name, job.name) for job in builder.jobs if (filled := job.fills) and filled.is_in_store_of(query.asks, builder.root)]
    told = ", ".join(f"{name!r} by {job}" for name, job in there)
    guess = did_you_mean(query.collection, [name for name, _ in there])
    return f"No job of this file fills {query.collection!r}{guess or '.'} Filled in this store: {told}." if there else None


def repair_hint(query: QueryJob, builder: Builder) -> str | None:
    """Return what to do when the collection that a job asks is damaged; None where no job of the file fills it. Blocks."""
    command = _filling(query, builder)
    return f"Run `{command}`: it mends the store from the ledger, and what is finished is not sent again." if command else None


def rebuilding(query: QueryJob, builder: Builder) -> tuple[list[str], str | None]:
    """Return which jobs make the collection anew for the embedder that a job asks with, and what to do where another one filled it.

    That is None where no job of the file fills it with this embedder. Blocks.
    """
    same = [job for job in fillers(query, builder) if job.embedder == query.embedder or _have_one_space(job, query, builder)]
    jobs = [job.name for job in same if is_rebuilding(job)]
    if not same:
        return jobs, None
    words = ["asyncrun", "run", str(builder.file), *(job.name for job in same)]
    command = shlex.join(words if len(jobs) == len(same) else [*words, "--rebuild"])
    return jobs, f"Run `{command}` first: it fills a new generation for this embedder, which takes the place of the one that is asked."


def is_rebuilding(job: Job) -> bool:
    """Tell whether a job fills a collection anew, beside itself, that was made in another way."""
    return getattr(job, "on_new_space", None) == "rebuild"


def _have_one_space(job: Job, other: Job, builder: Builder) -> bool:
    try:
        one, two = (builder.embedder(each).space(InputType.DOCUMENT) for each in (job, other))
    except UsageError:
        return False  # One that cannot be made is told where it is used.
    return one == two


def check_filled(query: QueryJob, builder: Builder, jobs: Sequence[Job]) -> None:
    """Find out whether the collection is there, or one of these jobs may fill it. Blocks. Raises UsageError."""
    if any(_may_fill(job, query, builder) for job in jobs):
        return
    store = builder.store(query.store)
    with with_repair_hint(repair_hint(query, builder)):
        if store.fingerprint(query.collection) is None:
            try:
                store.search(query.collection, [])
            except UsageError as error:
                raise UsageError(error.message, hint=fill_hint(query, builder) or error.hint) from error


@contextmanager
def with_repair_hint(repair_hint: str | None) -> Iterator[None]:
    """Give an error about a damaged store the hint on what repairs it, where that is known."""
    try:
        yield
    except DamagedStoreError as error:
        error.hint = repair_hint or error.hint
        raise


def _may_fill(job: Job, query: QueryJob, builder: Builder) -> bool:
    """Tell whether a job may make the collection: one of a kind that tells nothing may do anything."""
    return not job.declared or (job.fills is not None and job.fills.is_same(query.asks, builder.root))


def fillers(query: QueryJob, builder: Builder) -> list[Job]:
    """Return the jobs of the file that fill the collection that a job asks. Blocks."""
    return [job for job in builder.jobs if job.fills is not None and job.fills.is_same(query.asks, builder.root)]


def _filling(query: QueryJob, builder: Builder) -> str | None:
    filling = [job.name for job in fillers(query, builder)]
    return shlex.join(["asyncrun", "run", str(builder.file), *filling]) if filling else None
