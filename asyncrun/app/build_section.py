"""From a section of the job file to the part that it states: a store with the settings of its adapter, or an executor."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asyncrun import registry
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import ExecutorConfig, StoreConfig
from asyncrun.usage import usable_processors

if TYPE_CHECKING:
    from asyncrun.ports import Executor
    from asyncrun.stores.interface import VectorStore


def build_store(config: StoreConfig, root: Path) -> VectorStore:
    """Return a store, which the caller closes; relative paths start at `root`. Blocks. Raises UsageError as `store_settings`."""
    adapter = registry.load("stores", config.type)
    return cast("VectorStore", adapter(**store_settings(config, adapter, root)))


def store_settings(config: StoreConfig, adapter: Callable[..., VectorStore], root: Path) -> dict[str, Any]:
    """Return what is stated of a store, by the names of an adapter's arguments; one that takes `path` always gets it.

    Raises UsageError for what the adapter does not take.
    """
    settings = {
        "path": root / config.path if "path" in config.model_fields_set else None,
        "options": config.options or None,
        "url": config.url and config.url.get_secret_value(),
        "api_key": config.api_key and config.api_key.get_secret_value(),
        "schema": config.schema_name,
        "index": config.index,
        "create": None if config.create else False,
    }
    stated = {name: value for name, value in settings.items() if value is not None}
    taken = signature(adapter).parameters
    if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values()) and (unknown := stated.keys() - taken.keys()):
        name = min(unknown)
        raise UsageError(f"the store type {config.type} does not take `{name}`", hint=f"Leave `{name}` of the store out.")
    return {"path": root / config.path, **stated} if "path" in taken else stated


def build_executor(config: ExecutorConfig) -> Executor:
    """Return an executor, which starts nothing before its first call; the caller closes it.

    Raises UsageError for one that nobody offers, MissingExtraError where it needs an extra.
    """
    make = registry.load("executors", config.type)
    if config.type == "processes":
        return cast("Executor", make(config.processes or usable_processors()))
    stated = config.model_fields_set & {"address", "processes", "cpus", "gpus"}
    return cast("Executor", make(**{name: getattr(config, name) for name in stated}))
