"""The generations of collections that nobody asks any more: the former one after a rebuild, and one that no job goes on filling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from asyncrun import registry
from asyncrun.app.build_section import store_settings
from asyncrun.app.builder import JobBuilder
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.ledger.holdings import CollectionSize
from asyncrun.records import InputType
from asyncrun.stores.generations import RebuildableStore
from asyncrun.stores.interface import DROPPED, REBUILT, REPLACED, VectorStore


@dataclass(frozen=True, slots=True)
class OldCollection:
    """A collection that can go, and its store; relative paths of that start at `root`."""

    store: StoreConfig
    root: Path
    size: CollectionSize


def find_old_collections(jobs: Iterable[Job], builder: JobBuilder) -> Iterator[OldCollection]:
    """Yield what can go of the collections that these jobs fill, each once. Blocks. Raises what stores and embedders raise."""
    filling: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.fills is not None:
            place = repr(store_settings(job.fills.store, registry.load("stores", job.fills.store.type), builder.root))
            filling.setdefault((place, job.fills.name), []).append(job)
    for (_, name), fillers in filling.items():
        config = fillers[0].fills.store if fillers[0].fills is not None else StoreConfig()
        store = builder.store(config)
        if isinstance(store, RebuildableStore):
            spaces = {builder.embedder(job).space(InputType.DOCUMENT).fingerprint for job in fillers}
            for old in (name + REPLACED, name + DROPPED, name + REBUILT):
                size = _size_of(store, old, config)
                if size is not None and (not old.endswith(REBUILT) or _is_abandoned(store, size, spaces)):
                    yield OldCollection(config, builder.root, size)


def _size_of(store: RebuildableStore, name: str, config: StoreConfig) -> CollectionSize | None:
    if store.fingerprint(name) is None:
        return None
    stats = store.stats(name)
    shown = config.path if config.is_database_file else config.type
    return CollectionSize(name, shown, sum(stats.documents.values()), stats.chunks, stats.size)


def _is_abandoned(store: VectorStore, size: CollectionSize, spaces: set[str]) -> bool:
    return not size.documents or store.fingerprint(size.name) not in spaces


def drop_collections(old: Iterable[OldCollection]) -> None:
    """Remove collections from their stores. Blocks."""
    for each in old:
        adapter = registry.load("stores", each.store.type)
        store = adapter(**store_settings(each.store, adapter, each.root))
        try:
            store.drop(each.size.name)
        finally:
            store.close()
