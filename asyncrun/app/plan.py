"""What a run would do; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from asyncrun.app.builder import JobBuilder
from asyncrun.app.flag_overrides import Selection
from asyncrun.app.inspection import open_builder, until_interrupted
from asyncrun.app.job_checks import check_jobs, outputs_read
from asyncrun.app.request import Request
from asyncrun.errors import AsyncrunError, TryLaterError
from asyncrun.jobfile.jobs import Job, batch_models, setting_of
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig
from asyncrun.jobs.interface import find_kind
from asyncrun.ports import JobRun
from asyncrun.results import JobPlan
from asyncrun.state_folder import LEDGER

if TYPE_CHECKING:
    from asyncrun.jobs.delivery.plan import PlannedDelivery


def plan_jobs(request: Request) -> list[JobPlan]:
    """Return the plans of the selected jobs. Needs no key and writes nothing beside the job file."""

    async def plan() -> list[JobPlan]:
        async with open_builder(request) as (builder, jobs):
            return await until_interrupted(_plan_all(jobs, builder), builder.stop)

    return asyncio.run(plan())


async def _plan_all(jobs: Sequence[Job], builder: JobBuilder) -> list[JobPlan]:
    keyless = await asyncio.to_thread(partial(check_jobs, jobs, builder, need_keys=False))
    writers = await asyncio.to_thread(_writers_of_missing, jobs, builder)
    plans = []
    for job in jobs:
        try:
            run = await asyncio.to_thread(_open, job, builder)
            unknown = job.name in writers
            plan = _unknown(job, writers[job.name]) if unknown else await run.plan()
            plan = await asyncio.to_thread(partial(_with_delivery, plan, job, builder, unknown=unknown))
        except AsyncrunError as error:
            if error.place is None and not isinstance(error, TryLaterError):
                error.message = f"job {job.name}: {error.message}"
            raise
        refused = [f"a run is refused: {keyless[job.name].message}"] if job.name in keyless else []
        plans.append(plan.noted(*refused))
    # They are about the run, and no single job.
    told = [*_shard_notes(jobs, builder), *(f"a run is refused: {mistake}" for mistake in builder.job_file.keyless)]
    return [plan.noted(*told) for plan in plans[:1]] + plans[1:]


def _with_delivery(plan: JobPlan, job: Job, builder: JobBuilder, *, unknown: bool) -> JobPlan:
    """Return the plan with what batches of its providers cost and take, where they have such and they are meant for this job. Blocks.

    `unknown` says that nobody knows yet what the job sends.
    """
    from asyncrun.jobs.delivery.plan import with_delivery
    from asyncrun.jobs.plan_steps import in_steps

    def with_batches(step: JobPlan, model: EmbedderConfig | LlmConfig | None, what: str = "") -> JobPlan:
        delivery = None if model is None else _delivery_of(model, job, builder, unknown=unknown, what=what)
        return step if delivery is None else with_delivery(step, delivery, builder.clock.now())

    models = batch_models(job) if job.declared else {}
    if not plan.steps:
        return with_batches(plan, next(reversed(models.values()), None))
    # A job that searches by words asks no embedder.
    steps = zip(plan.steps, ("embedder", "llm"), ("questions", "answers"), strict=True)
    return in_steps(plan, [with_batches(step, models.get(key), what) for step, key, what in steps])


def _delivery_of(model: EmbedderConfig | LlmConfig, job: Job, builder: JobBuilder, *, unknown: bool, what: str) -> PlannedDelivery | None:
    """Return how a model of a job is asked, None where its provider has no batches. Blocks."""
    from asyncrun.jobs.delivery.deadline import due_at
    from asyncrun.jobs.delivery.plan import PlannedDelivery
    from asyncrun.ledger.provider_batches import all_provider_batches

    if (terms := builder.models.batch_terms(model)) is None:
        return None
    now, job_id = builder.clock.now(), builder.job_id(job)
    known = all_provider_batches(builder.ledger.folder / LEDGER)
    own = [each for each in known if (each.job, each.purpose) == (job_id, model.purpose)]
    wanted = [each for each in own if unknown or builder.forecast.foresees(each.space, each.keys)]
    waiting, unwanted = ([each for each in some if each.state.open] for some in (wanted, [each for each in own if each not in wanted]))
    deadline = setting_of(job, "deadline")
    due = None if deadline is None else due_at(deadline, min((each.created for each in wanted), default=now))
    online = setting_of(job, "stragglers") == "online"
    return PlannedDelivery(model.provider, terms, model.delivery == "batch", due, online, waiting, unwanted, what)


def _shard_notes(jobs: Sequence[Job], builder: JobBuilder) -> list[str]:
    if (shard := builder.options.shard) is None:
        return []
    what = f"stated rates, concurrency and budgets are divided by {shard.of:,}"
    names, asked = {job.name for job in jobs}, builder.job_file.selected(builder.request.jobs, builder.options.with_needs)
    left = tuple(job.name for job in asked if job.name not in names)
    told = f"shard {shard.number:,} of {shard.of:,}: {what}, what a server states is not; no store is filled"
    return [told, *Selection(builder.job_file, tuple(jobs), left).notes()]


def _writers_of_missing(jobs: Sequence[Job], builder: JobBuilder) -> dict[str, str]:
    """Return which jobs read a file that is not there yet, each with a job that writes one. Blocks."""
    read = outputs_read(jobs, builder.root)
    return {name: writer for name, files in read.items() for path, writer in files.items() if not path.exists()}


def _open(job: Job, builder: JobBuilder) -> JobRun:
    return find_kind(job.kind).open(job, builder)


def _unknown(job: Job, writer: str) -> JobPlan:
    return JobPlan(job.name, job.kind, 0, 0, notes=(f"its input is made by {writer} and is not there yet: what it sends is unknown",))
