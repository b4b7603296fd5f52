"""The kinds of job, found by their names: their models come from the kinds themselves, built in or installed."""

from __future__ import annotations

from functools import cache

from asyncrun import registry
from asyncrun.errors import UsageError
from asyncrun.jobfile.jobs import Job, PluginJob


def job_model(kind: str) -> type[Job]:
    """Return the model of a kind's jobs; a plugin's that brings none, or that cannot be imported, has its keys in `PluginJob.options`."""
    try:
        found = registry.load("kinds", kind, clash=False)
    except UsageError:
        return PluginJob  # Whoever opens the job is told why.
    model: type[Job] = getattr(found, "model", PluginJob)
    return model


def built_in_models() -> list[type[Job]]:
    """Return the models of the kinds that come with asyncrun."""
    return [job_model(kind) for kind in registry.BUILT_IN["kinds"]]


@cache
def job_options() -> frozenset[str]:
    """Return what may stand under `defaults`: the keys of the built-in kinds."""
    return keys_of(*built_in_models()) - {"name", "kind"}


def keys_of(*models: type[Job]) -> frozenset[str]:
    """Return the keys of models as a job file has them."""
    return frozenset(field.alias or name for model in models for name, field in model.model_fields.items())
