"""A look at every store of a job file: whether it answers and can be filled, and which collections it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from asyncrun.app.build_section import build_store
from asyncrun.app.builder import JobBuilder
from asyncrun.app.request import environment_secrets
from asyncrun.endpoints.address import host_of
from asyncrun.errors import AsyncrunError, JobFileError
from asyncrun.escape import printable
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Job, StoredCollection
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.ledger.spaces import space_of
from asyncrun.redact import Redactor
from asyncrun.sqlite_files import check_writable
from asyncrun.stores.interface import BrowsableStore, DescribedStore, VectorStore
from asyncrun.ui.doctor import Checkup, DoctorSetting
from asyncrun.ui.stores import render_space

SHOWN = 10
"""Collections of a store that are named."""


async def check_stores(jobs: Sequence[Job], builder: JobBuilder) -> list[Checkup]:
    """Return a checkup for each store of the job file, and for those that jobs have in place; they are looked at side by side."""
    used = await asyncio.to_thread(lambda: list(_used_stores(builder.job_file, jobs)))
    return list(await asyncio.gather(*(asyncio.to_thread(_Look(each, builder).checkup) for each in used)))


@dataclass(frozen=True, slots=True)
class _UsedStore:
    """A store with the jobs that use it; `name` is None for one that stands in a job, `filled` tells whether one of them fills it."""

    name: str | None
    config: StoreConfig
    jobs: tuple[str, ...] = ()
    filled: bool = False

    @property
    def what(self) -> str:
        return f"store {self.config.type}" if self.name is None else f"store {printable(self.name)} ({printable(self.config.type)})"

    @property
    def where(self) -> str | None:
        if self.config.url is not None:
            return printable(host_of(self.config.url.get_secret_value())) or None
        # A server has no path, and what its address is may be unknown: it stands in a variable.
        is_file = self.config.is_database_file or "path" in self.config.model_fields_set
        return printable(self.config.path) if is_file else None


def _used_stores(job_file: JobFile, jobs: Sequence[Job]) -> Iterator[_UsedStore]:
    named = [(name, StoredCollection(config, "")) for name, config in job_file.stores.items()]
    places: list[tuple[str | None, StoredCollection]] = list(named)
    used = [(job, place, place is job.fills) for job in jobs for place in (job.fills, job.asks) if place is not None]
    for _, place, _ in used:
        if not any(place.is_in_store_of(other, job_file.root) for _, other in places):
            places.append((None, place))
    for name, place in places:
        own = [(job.name, fills) for job, other, fills in used if other.is_in_store_of(place, job_file.root)]
        yield _UsedStore(name, place.store, tuple(dict.fromkeys(job for job, _ in own)), any(fills for _, fills in own))


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A look at one store."""

    used: _UsedStore
    builder: JobBuilder

    def checkup(self) -> Checkup:
        """Return what was found. Blocks, for a server that is away as long as its adapter tries."""
        used, redact = self.used, self._redact()
        try:
            config = self._resolved()
            if used.filled and config.is_database_file:
                check_writable(self.builder.root / config.path)
            store = build_store(config, self.builder.root)
            try:
                said, settings = _describe(store), tuple(self._collections(store))
            finally:
                store.close()
        except JobFileError as error:
            return Checkup(used.what, used.where, jobs=used.jobs, error=str(error.mistakes[0]), hint=error.hint)
        except AsyncrunError as error:
            return Checkup(used.what, used.where, jobs=used.jobs, error=redact(error.message), hint=redact(error.hint))
        except Exception as error:  # a plugin's
            return Checkup(used.what, used.where, jobs=used.jobs, error=redact(f"{type(error).__name__}: {error}"))
        return Checkup(used.what, used.where, settings, used.jobs, found=redact(said))

    def _redact(self) -> Callable[[str], str]:
        return Redactor({*self.builder.job_file.secrets(), *environment_secrets(self.builder.request.environ)}).redact

    def _resolved(self) -> StoreConfig:
        """Return the settings with the values of variables, which nobody has asked for where no job uses the store."""
        used, request = self.used, self.builder.request
        if used.name is None or used.jobs:
            return used.config
        reading = LoadOptions(environ=request.environ, variables=request.variables, stores=(used.name,), check_inputs=False, need_keys=True)
        return load_job_file(request.file, reading).stores[used.name]

    def _collections(self, store: VectorStore) -> Iterator[DoctorSetting]:
        if not isinstance(store, BrowsableStore):
            store.fingerprint("")  # So that one that is away says so.
            return
        found = store.collections()
        for collection in found[:SHOWN]:
            yield DoctorSetting(printable(collection.name), render_space(collection, space_of(self.builder.ledger, collection.fingerprint)))
        if len(found) > SHOWN:
            yield DoctorSetting("...", f"{len(found) - SHOWN:,} more; `asyncrun store list` has them all")


def _describe(store: VectorStore) -> str:
    return store.describe() if isinstance(store, DescribedStore) else "it answers"
