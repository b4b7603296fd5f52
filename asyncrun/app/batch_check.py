"""A look at the batch endpoint of every model that jobs ask by batches: whether its provider lists batches with this address and key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asyncrun.app.batch_endpoints import Model, patient_endpoint
from asyncrun.app.builder import JobBuilder
from asyncrun.app.model_builder import model_identity
from asyncrun.errors import AsyncrunError
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.ui.doctor import Checkup


async def check_batches(jobs: Sequence[Job], builder: JobBuilder) -> list[Checkup]:
    """Return a checkup for each batch endpoint, in the order of the jobs; nothing is submitted."""
    users: dict[str, list[Job]] = {}
    for job in jobs:
        model: Model | None = setting_of(job, job.asks_by_batches)
        if model is not None and model.delivery == "batch":
            users.setdefault(model_identity(model), []).append(job)
    return list(await asyncio.gather(*(_check(those, builder) for those in users.values())))


async def _check(jobs: Sequence[Job], builder: JobBuilder) -> Checkup:
    model: Model = setting_of(jobs[0], jobs[0].asks_by_batches)
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
