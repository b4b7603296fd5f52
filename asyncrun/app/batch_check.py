"""A look at the batch endpoint of every model that jobs ask by batches: whether its provider lists batches with this address and key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asyncrun.app.batch_endpoints import Model, patient_endpoint
from asyncrun.app.builder import JobBuilder
from asyncrun.app.model_builder import model_identity
from asyncrun.errors import AsyncrunError
from asyncrun.jobfile.jobs import Job, batch_models
from asyncrun.ui.doctor import Checkup


async def check_batches(jobs: Sequence[Job], builder: JobBuilder) -> list[Checkup]:
    """Return a checkup for each batch endpoint, in the order of the jobs; nothing is submitted."""
    models: dict[str, Model] = {}
    users: dict[str, list[Job]] = {}
    for job in jobs:
        for model in batch_models(job).values():
            if model.delivery == "batch":
                models[identity := model_identity(model)] = model
                users.setdefault(identity, []).append(job)
    return list(await asyncio.gather(*(_check(model, users[identity], builder) for identity, model in models.items())))


async def _check(model: Model, jobs: Sequence[Job], builder: JobBuilder) -> Checkup:
    what, names = f"batches {model.provider}" + (f"/{model.model}" if model.model else ""), tuple(job.name for job in jobs)
    try:
        endpoint = await asyncio.to_thread(patient_endpoint, builder, model)
    except AsyncrunError as error:
        return Checkup(what, None, jobs=names, error=error.message, hint=error.hint)
    try:
        async for _ in endpoint.batches():
            break
        return Checkup(what, endpoint.host, jobs=names, found="its batches can be listed")
    except AsyncrunError as error:
        return Checkup(what, endpoint.host, jobs=names, error=error.message, hint=error.hint)
    finally:
        await endpoint.aclose()
