"""A collection copied to another store with its vectors, so that nothing is embedded again; killed, it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from asyncrun.app.state_lock import enter_as_run
from asyncrun.app.store_commands import OpenedStore, StoreCall, open_store
from asyncrun.errors import UsageError
from asyncrun.humanize import counted
from asyncrun.jobfile.jobs import StoredCollection
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.stores.generations import is_generation
from asyncrun.stores.interface import Collection, RepairableStore, StoredDocument, VectorStore
from asyncrun.ui.stores import CopyCounts


def copy_collections(
    call: StoreCall,
    collection: str | None,
    to: str,
    name: str | None,
    *,
    replace_others: bool,
    passed: Callable[[str, int], object] = lambda *_: None,
) -> list[CopyCounts]:
    """Copy a collection, or (None) every one that is no other generation, to the store `to`; `name` is what it is called there. Blocks.

    Each document goes over whole with its mark, so that the job which filled the one finds the other unchanged; one that is there with
    the same mark stays. With `replace_others` documents of the same sources go out that differ or are not in the original. Takes the lock
    of the job file, as a run does. `passed` is told the collection and how many of its documents have gone by.

    Raises UsageError for a collection that is not there, and where the target has documents that would have to go; SpaceMismatchError for
    a target of another space; LockedError; and what the stores raise.
    """
    with (
        enter_as_run(call.file, call.state_dir),
        open_store(call) as source,
        open_store(replace(call, store=to), may_be_new=True) as target,
    ):
        names = [collection] if collection is not None else [found.name for found in source.browsable.collections()]
        pairs = [(each, name or each) for each in names if collection is not None or not is_generation(each)]
        for each, other in pairs:
            if is_generation(other):
                raise UsageError(f"{other!r} would be taken for another generation of a collection", hint="Name it with --as.")
            if _is_same(source, each, target, other):
                raise UsageError(f"{each!r} would be copied onto itself", hint="Name another store with --to, or another name with --as.")
        copies = [Copy(source, each, target.adapter, other, partial(passed, each)) for each, other in pairs]
        for copy in copies:
            copy.prepare(replace_others=replace_others)
        return [copy.run() for copy in copies]


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One collection on its way from a store to another one."""

    source: OpenedStore
    collection: str
    target: VectorStore
    name: str
    passed: Callable[[int], object]

    def prepare(self, *, replace_others: bool) -> None:
        """Make the collection, or prove the one that is there. Raises UsageError where it has what would have to go."""
        stats = self.source.browsable.stats(self.collection)
        self.target.open_collection(Collection(self.name, stats.collection.fingerprint, stats.collection.dimensions))
        if isinstance(self.target, RepairableStore):
            self.target.repair(self.name)
        if replace_others:
            return
        odd = sum(len(self._marks(owner).items() - self.source.adapter.marks(self.collection, owner).items()) for owner in stats.documents)
        if odd:
            raise UsageError(
                f"the collection {self.name!r} has {counted(odd, 'document')} of the same source that differ or are not in the original",
                hint="Have them replaced with --replace, or copy to another name with --as.",
            )

    def run(self) -> CopyCounts:
        """Copy what is not there yet, and take out what is not in the original."""
        total = CopyCounts(self.collection, self.name)
        for owner, documents in groupby(self.source.browsable.documents(self.collection), itemgetter(0)):
            owned = _Owned(self._marks(owner))
            before = total.copied + total.unchanged
            self.target.commit(self.name, owner, owned.new(self._told(before, (document for _, document in documents))))
            gone = sorted(owned.there.keys() - owned.seen)
            self.target.remove(self.name, owner, gone)
            if isinstance(self.target, RepairableStore):
                self.target.seal(self.name, owner)
            total = replace(
                total,
                copied=total.copied + owned.copied,
                chunks=total.chunks + owned.chunks,
                unchanged=total.unchanged + len(owned.seen) - owned.copied,
                removed=total.removed + len(gone),
            )
        return total

    def _told(self, before: int, documents: Iterable[StoredDocument]) -> Iterator[StoredDocument]:
        for number, document in enumerate(documents, before + 1):
            self.passed(number)
            yield document

    def _marks(self, owner: str) -> dict[str, str]:
        return self.target.marks(self.name, owner)


@dataclass(slots=True)
class _Owned:
    """The documents of one source as they go by; `there` are the marks of those that the target has, `seen` the ids of all."""

    there: Mapping[str, str]
    seen: set[str] = field(default_factory=set)
    copied: int = 0
    chunks: int = 0

    def new(self, documents: Iterable[StoredDocument]) -> Iterator[StoredDocument]:
        """Yield those that the target does not have as they are."""
        for document in documents:
            self.seen.add(document.doc_id)
            if self.there.get(document.doc_id) != document.mark:
                self.copied += 1
                self.chunks += len(document.chunks)
                yield document


def _is_same(source: OpenedStore, collection: str, target: OpenedStore, name: str) -> bool:
    one, other = (StoredCollection(_at(opened), each) for opened, each in ((source, collection), (target, name)))
    return one.is_same(other, Path())


def _at(opened: OpenedStore) -> StoreConfig:
    """Return the settings of a store with an absolute path: two stores may be of two job files."""
    return opened.config.model_copy(update={"path": str(opened.job_file.absolute(opened.config.path))})
