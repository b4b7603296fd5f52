"""Whom one can ask for batches: the endpoints that a job file's models have, and those that only the ledger still knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from asyncrun.app.builder import JobBuilder
from asyncrun.batches.interface import BatchEndpoint
from asyncrun.errors import AsyncrunError
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig, RetryConfig
from asyncrun.ledger.provider_batches import BatchRecord
from asyncrun.registry import BUILT_IN

TIMEOUT = 30.0
"""Seconds that one request may take, which is tried twice: somebody waits for the answer."""
Model = EmbedderConfig | LlmConfig


@dataclass(slots=True)
class BatchEndpoints:
    """The endpoints that can be asked, by provider and host; and those that cannot, with the error."""

    reached: dict[tuple[str, str], BatchEndpoint] = field(default_factory=dict)
    errors: dict[str, AsyncrunError] = field(default_factory=dict)

    def of(self, record: BatchRecord) -> BatchEndpoint | None:
        """Return where a batch lies, None where nobody can be asked."""
        return self.reached.get((record.provider, record.host))


@asynccontextmanager
async def open_endpoints(builder: JobBuilder, records: Sequence[BatchRecord], *, listed: bool = True) -> AsyncIterator[BatchEndpoints]:
    """Open the endpoints at which batches of the records lie, also of models that the job file does not have any more.

    With `listed` also those of all models that are asked by batches now. Keys that are not set are no error here.
    """
    endpoints = BatchEndpoints()
    try:
        await asyncio.to_thread(_open, builder, records, listed, endpoints)
        yield endpoints
    finally:
        for endpoint in endpoints.reached.values():
            await endpoint.aclose()


def _open(builder: JobBuilder, records: Sequence[BatchRecord], listed: bool, endpoints: BatchEndpoints) -> None:
    # A model that is asked online by now has the address and the key of the batches that it made before.
    for model in _models_of(builder, {record.provider for record in records}, listed):
        if (endpoint := _endpoint(builder, model, endpoints)) is not None:
            endpoints.reached.setdefault((endpoint.provider, endpoint.host), endpoint)
    for record in records:
        if endpoints.of(record) is None and record.provider not in endpoints.errors:
            endpoint = _endpoint(builder, _model_of(record), endpoints)
            if endpoint is not None and endpoint.host == record.host:
                endpoints.reached[record.provider, record.host] = endpoint


def _models_of(builder: JobBuilder, providers: Collection[str], listed: bool) -> Iterator[Model]:
    for model in builder.job_file.models():
        asked = model.provider in providers or (listed and model.delivery == "batch")
        if asked and model.provider in BUILT_IN["batches"] and not model.endpoints:
            yield model


def _model_of(record: BatchRecord) -> Model:
    kind = LlmConfig if record.purpose == "chat" else EmbedderConfig
    return kind(provider=record.provider, model=record.model, delivery="batch")


def patient_endpoint(builder: JobBuilder, model: Model) -> BatchEndpoint:
    """Return the batch endpoint of a model, for whoever closes it, with as much patience as a person has. Blocks. Raises UsageError."""
    patience = {"retry": RetryConfig(attempts=2, max_wait=5.0), "timeout": min(model.timeout, TIMEOUT)}
    return builder.models.batch_endpoint(model.model_copy(update=patience))


def _endpoint(builder: JobBuilder, model: Model, endpoints: BatchEndpoints) -> BatchEndpoint | None:
    try:
        return patient_endpoint(builder, model)
    except AsyncrunError as error:
        endpoints.errors.setdefault(model.provider, error)
        return None
