"""Removing our files at providers: those of batches whose answers are in the ledger, and of batches that were given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from asyncrun.app.batch_endpoints import BatchEndpoints, open_endpoints
from asyncrun.app.builder import JobBuilder
from asyncrun.app.request import Request, environment_secrets
from asyncrun.batches.interface import BatchEndpoint, BatchState, ProviderBatch
from asyncrun.errors import AsyncrunError
from asyncrun.humanize import counted
from asyncrun.jobfile.job_file import JobFile
from asyncrun.ledger.holdings import CleanedBatches
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.provider_batches import BatchRecord, all_provider_batches, put_provider_batch
from asyncrun.redact import Redactor


def remove_collected(request: Request, job_file: JobFile, ledger: Path, *, dry_run: bool) -> CleanedBatches:
    """Remove what providers still hold of batches that are over for us; what only another key reaches stays, and is told. Blocks."""
    done = [record for record in all_provider_batches(ledger) if not record.state.open and (record.batch or record.file)]
    return asyncio.run(_remove(request, job_file, ledger, done, dry_run)) if done else CleanedBatches()


async def _remove(request: Request, job_file: JobFile, path: Path, done: list[BatchRecord], dry_run: bool) -> CleanedBatches:
    ledger = await asyncio.to_thread(Ledger, path)
    builder = JobBuilder(request, job_file, ledger)
    removed, files, kept = 0, 0, dict[str, int]()
    try:
        async with open_endpoints(builder, done, listed=False) as endpoints:
            for record in done:
                endpoint = endpoints.of(record)
                try:
                    gone = _unreachable(record, endpoints) if endpoint is None else await _remove_one(endpoint, record, ledger, dry_run)
                except AsyncrunError as error:
                    gone = str(error)
                if isinstance(gone, str):
                    kept[gone] = kept.get(gone, 0) + 1
                else:
                    removed, files = removed + 1, files + gone
    finally:
        await builder.aclose()
        await asyncio.to_thread(ledger.close)
    redact = Redactor(environment_secrets(request.environ)).redact
    return CleanedBatches(removed, files, tuple(f"{counted(number, 'batch')}: {redact(why)}" for why, number in kept.items()))


def _unreachable(record: BatchRecord, endpoints: BatchEndpoints) -> str:
    error = endpoints.errors.get(record.provider)
    return str(error) if error else f"nobody in the job file is asked at {record.host}"


async def _remove_one(endpoint: BatchEndpoint, record: BatchRecord, ledger: Ledger, dry_run: bool) -> int | str:
    """Return how many files were removed, or why they stay."""
    if dry_run:
        return 0
    batch = None if record.batch is None else await endpoint.get(record.batch)
    if batch is not None and not batch.state.over:
        return f"{record.provider} still works on it"
    if batch is None and record.file is not None:
        # Nothing is known there but the file: it was uploaded, and never submitted, or its batch is forgotten.
        batch = ProviderBatch(record.file, record.tag, BatchState.ENDED, "", files=(record.file,))
    gone = 0 if batch is None else await endpoint.delete(batch)
    await put_provider_batch(ledger, replace(record, file=None, batch=None))
    return gone
