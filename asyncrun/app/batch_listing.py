"""What lies at providers: found by the ledger's records and by what the providers list; and how its end is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from asyncrun.app.batch_endpoints import BatchEndpoints, open_endpoints
from asyncrun.app.builder import JobBuilder
from asyncrun.app.inspection import open_builder
from asyncrun.app.request import Request, environment_secrets
from asyncrun.batches.interface import BatchEndpoint, BatchState, ProviderBatch
from asyncrun.errors import AsyncrunError, UsageError
from asyncrun.humanize import counted
from asyncrun.ledger.provider_batches import BatchRecord, all_provider_batches
from asyncrun.redact import Redactor
from asyncrun.results import winning_exit_code
from asyncrun.state_folder import LEDGER, job_file_id
from asyncrun.ui.batches import BatchListing, ListedBatch

MOST_LISTED = 1000
"""Batches that a provider is asked to list; ours that are older are asked for by their ids."""


def list_batches(request: Request) -> BatchListing:
    """Return what lies at the providers of the job file and of the ledger. Blocks. Raises JobFileError."""
    return asyncio.run(_in_all(request, None))


def cancel_batches(request: Request, tags: Sequence[str], *, every: bool) -> BatchListing:
    """Ask for the end of batches: those of tags, or of their beginnings, or `every` one that the ledger knows. Blocks.

    Returns them, as they are then. Raises UsageError for a tag of none or of several, JobFileError.
    """
    return asyncio.run(_in_all(request, lambda found: _known(found) if every else list(_chosen(found, tags))))


@dataclass(frozen=True, slots=True)
class _Found:
    """A batch as it is shown, as its provider tells of it, and where that is."""

    listed: ListedBatch
    endpoint: BatchEndpoint | None = None
    batch: ProviderBatch | None = None

    @property
    def goes_on(self) -> bool:
        return self.batch is not None and not self.batch.state.over and self.batch.state is not BatchState.CANCELLING


async def _in_all(request: Request, choose: Callable[[list[_Found]], list[_Found]] | None) -> BatchListing:
    async with open_builder(request, need_inputs=False) as (builder, _):
        records, own = await asyncio.to_thread(_records, builder)
        waiting = [record for record in records if record.state.open]
        async with open_endpoints(builder, waiting) as endpoints:
            there = {endpoint: await _listed(endpoint, endpoints) for endpoint in endpoints.reached.values()}
            found = [await _of_record(record, there, endpoints, own) for record in waiting]
            known = {record.tag for record in records} | {record.batch for record in records}
            ours = ((endpoint, batch) for endpoint, batches in there.items() for batch in batches if batch.tag is not None)
            found += [_Found(_shown(batch, endpoint), endpoint, batch) for endpoint, batch in ours if not {batch.tag, batch.id} & known]
            if choose is not None:
                found = [await _cancel(each, endpoints) for each in choose(found)]
    others = Counter(
        {endpoint.host: sum(batch.tag is None and batch.id not in known for batch in batches) for endpoint, batches in there.items()}
    )
    redact = Redactor(environment_secrets(request.environ)).redact
    return BatchListing(
        batches=tuple(sorted((each.listed for each in found), key=lambda batch: batch.created or 0.0)),
        others=+others,
        done=sum(not record.state.open and bool(record.batch or record.file) for record in records),
        problems=tuple(redact(f"{where}: {error}") for where, error in endpoints.errors.items()),
        exit_code=winning_exit_code(error.exit_code for error in endpoints.errors.values()),
    )


def _records(builder: JobBuilder) -> tuple[list[BatchRecord], str]:
    """Return what the ledger knows, and how the names of this file's jobs begin there. Blocks."""
    return all_provider_batches(builder.ledger.folder / LEDGER), f"{job_file_id(builder.ledger.folder, builder.file)}/"


async def _listed(endpoint: BatchEndpoint, endpoints: BatchEndpoints) -> list[ProviderBatch]:
    found: list[ProviderBatch] = []
    try:
        async for batch in endpoint.batches():
            found.append(batch)
            if len(found) == MOST_LISTED:
                break
    except AsyncrunError as error:
        endpoints.errors[endpoint.host] = error
    return found


async def _of_record(record: BatchRecord, there: dict[BatchEndpoint, list[ProviderBatch]], endpoints: BatchEndpoints, own: str) -> _Found:
    """Return what a provider says of a batch of the ledger, listed or asked for. Names of jobs of this file begin with `own`."""
    endpoint = endpoints.of(record)
    listed = ListedBatch(
        tag=record.tag,
        batch=record.batch,
        job=record.job.removeprefix(own),
        provider=record.provider,
        host=record.host,
        model=record.model,
        state=str(record.state),
        created=record.created,
        requests=record.requests,
        cost=record.cost or None,
    )
    if endpoint is None:
        return _Found(replace(listed, message=f"nobody in the job file is asked at {record.host} with a key, so its state is not known"))
    batch = next((each for each in there[endpoint] if each.tag == record.tag or each.id == record.batch), None)
    try:
        if batch is None and record.batch is not None:
            batch = await endpoint.get(record.batch)
        elif batch is None and endpoint.host not in endpoints.errors:
            batch = next(iter(await endpoint.find(record.tag, record.created, record.requests)), None)
    except AsyncrunError as error:
        endpoints.errors[endpoint.host] = error
        return _Found(listed, endpoint)
    if batch is None and record.batch is not None:
        listed = replace(listed, message=f"{record.provider} does not know it: it is of another key, or not kept any more")
    return _Found(listed if batch is None else _told(listed, batch), endpoint, batch)


def _shown(batch: ProviderBatch, endpoint: BatchEndpoint) -> ListedBatch:
    blank = ListedBatch(batch.tag, batch.id, None, endpoint.provider, endpoint.host, None, "", created=batch.created, requests=batch.total)
    return _told(blank, batch)


def _told(listed: ListedBatch, batch: ProviderBatch) -> ListedBatch:
    return replace(
        listed,
        batch=batch.id,
        state=str(batch.state),
        word=batch.word or None,
        succeeded=batch.succeeded,
        failed=batch.failed,
        message=batch.message or listed.message,
    )


def _known(found: Sequence[_Found]) -> list[_Found]:
    return [each for each in found if each.listed.job is not None and each.goes_on]


def _chosen(found: Sequence[_Found], tags: Sequence[str]) -> Iterator[_Found]:
    for tag in dict.fromkeys(tags):
        named = [each for each in found if (each.listed.tag or "").startswith(tag) or each.listed.batch == tag]
        if len(named) != 1:
            what = f"{counted(len(named), 'batch')} begin with {tag!r}" if named else f"no batch of ours has the tag {tag!r}"
            raise UsageError(what, hint="See asyncrun batches list.")
        yield from (each for each in named if each.goes_on)


async def _cancel(each: _Found, endpoints: BatchEndpoints) -> _Found:
    if each.endpoint is None or each.batch is None:
        return each
    try:
        await each.endpoint.cancel(each.batch.id)
        batch = await each.endpoint.get(each.batch.id)
    except AsyncrunError as error:
        endpoints.errors[each.endpoint.host] = error
        return replace(each, listed=replace(each.listed, message=error.message))
    return each if batch is None else replace(each, listed=_told(each.listed, batch), batch=batch)
