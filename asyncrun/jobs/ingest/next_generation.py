"""The next generation of a collection, as one job fills it: chosen, begun, counted against what is asked, and put in its place.

What holds at every instant, also after a kill: the collection is one whole generation. The next one takes its place when it has every
document of every source, but those which a job has left out: it says so in the next one itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

import numpy as np

from asyncrun.errors import RefusedDeletionError, SpaceMismatchError, TryLaterError, UsageError
from asyncrun.humanize import counted
from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.ingest.documents import MadeWith
from asyncrun.stores.generations import LEFT_OUT, RebuildableStore, sources_of, swap
from asyncrun.stores.interface import DROPPED, REBUILT, REPLACED, Collection, StoredDocument


@dataclass(frozen=True, slots=True)
class Held:
    """What a job finds in one generation: its space (None: it is not there), and the marks of its own documents.

    `others`: whether it has documents of other sources.
    """

    space: str | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    others: bool = False

    def fits(self, made_with: MadeWith) -> bool:
        """Tell whether it is of the space, and the job's own documents were all made so."""
        return self.space == made_with.space and all(map(made_with.made, self.marks.values()))


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of a collection: the one that is asked, the next one, and the former one."""

    served: Held = Held()
    next: Held = Held()
    former: Held = Held()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a job fills: the next generation where it `rebuilds`, else the collection that is asked.

    `drops`: the next generation that is there goes first. `returns`: the former generation becomes the next one.
    """

    rebuilds: bool = False
    drops: bool = False
    returns: bool = False


def choose(collection: str, found: Generations, made_with: MadeWith, *, asked: bool) -> Choice:
    """Return what a job fills that may rebuild; `asked`: it was told to in this run.

    Raises SpaceMismatchError where somebody has gone back from what the job makes, and it was not asked to go forward again.
    """
    served, coming, former = found.served, found.next, found.former
    there = coming.space is not None
    if served.space is None:
        return Choice(drops=there)
    if served.fits(made_with):
        if coming.fits(made_with) and (coming.marks or coming.others):
            # Another job makes its documents in another way now, and waits for these.
            return Choice(rebuilds=True)
        # One without a document of this job may be what another one has just begun.
        return Choice(drops=bool(coming.marks))
    if coming.fits(made_with):
        return Choice(rebuilds=True)
    returns = bool(former.marks) and former.fits(made_with)
    if returns and not asked:
        raise SpaceMismatchError(
            f"the collection {collection!r} was filled in another way than this job fills it, and the generation before it in this one: "
            "somebody has gone back, or this job has",
            hint="Run it once with --rebuild, which takes that generation up again and sends only what has changed since; "
            "or give the job the embedder and the chunks that the collection has.",
        )
    return Choice(rebuilds=True, drops=there, returns=returns)


@dataclass(frozen=True, slots=True, eq=False)
class NextGeneration:
    """What a job does to the next generation of a collection. Every method blocks.

    `fillers` are the commands that fill sources, by their names.
    """

    store: RebuildableStore
    collection: str
    source: str
    made_with: MadeWith
    choice: Choice
    found: Generations
    fillers: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the collection that is filled."""
        return self.collection + REBUILT

    @property
    def stored(self) -> Mapping[str, str]:
        """Return the marks of the job's documents where it fills, as it begins."""
        if not self.choice.rebuilds:
            return self.found.served.marks
        if self.choice.returns:
            return self.found.former.marks
        return {} if self.choice.drops else self.found.next.marks

    def begin(self) -> None:
        """Make it what was chosen, or remove it where it is not filled."""
        # Another job may have begun it anew since.
        if self.choice.drops and self.store.fingerprint(self.name) == self.found.next.space:
            self.store.drop(self.name)
        if not self.choice.rebuilds:
            # Whoever has put the last one in its place may have been killed then.
            self.store.drop(self.collection + DROPPED)
            self._forget_left_out([self.source])
        elif self.choice.returns:
            self.store.rename({self.collection + REPLACED: self.name})
        elif self.found.served.space == self.made_with.space:
            # Until there is one, nobody could tell it from one that has been put in its place.
            [dimensions] = [each.dimensions for each in self.store.collections() if each.name == self.collection]
            self.store.open_collection(Collection(self.name, self.made_with.space, dimensions))

    def filled(self) -> str:
        """Return where documents go: the collection itself once another job has put the next generation in its place."""
        is_swapped = self.store.fingerprint(self.name) is None and self.store.fingerprint(self.collection) == self.made_with.space
        return self.collection if is_swapped else self.name

    def missing(self, *, planned: bool = False) -> dict[str, int]:
        """Return how many documents of each source are neither in it nor left out; `planned`: before anything was done."""
        there = [] if planned and self.choice.drops else [self.name]
        there = [self.collection + REPLACED] if planned and self.choice.returns else there
        missing = {}
        for source in sources_of(self.store, self.collection):
            lacking = set(self.store.marks(self.collection, source))
            for name in there:
                lacking -= self.store.marks(name, source).keys() | self.store.marks(name, source + LEFT_OUT).keys()
            missing[source] = len(lacking)
        return missing

    def awaited(self, missing: Mapping[str, int]) -> str:
        """Return a part of a sentence: what others have to put in first, and the commands that do."""
        unknown = "no job of this file fills it: where one was renamed, give it this `source`"
        told = [
            f"{counted(count, 'document')} of the source {source!r} ({f'`{self.fillers[source]}`' if source in self.fillers else unknown})"
            for source, count in missing.items()
            if count
        ]
        return ", and ".join(told)

    def refusal(self, documents: Set[str], max_delete: Threshold) -> RefusedDeletionError | None:
        """Return the error of going without more documents of the job's source than may be deleted, None when it need not."""
        allowed = max_delete.of(len(self.found.served.marks))
        if len(documents) <= allowed:
            return None
        return RefusedDeletionError(
            f"{len(documents)} of {len(self.found.served.marks)} documents of {self.source!r} would be missing in the new generation of "
            f"{self.collection!r}, since they left the input, failed or are skipped; {allowed} may (max_delete)"
        )

    def left_out(self, stored: Iterable[str], sent: Iterable[str], failed: Iterable[str] = ()) -> set[str]:
        """Return which of the job's documents that are asked it goes without: those that it neither has nor gets."""
        return set(self.found.served.marks) - set(stored) - (set(sent) - set(failed))

    def is_over(self) -> bool:
        """Tell whether there is none: another job has put it in its place, or there was not one document to put in."""
        return self.store.fingerprint(self.name) is None

    def lacks(self, left_out: Set[str]) -> dict[str, int]:
        """Note which documents of the job are left out, and return how many of other sources are missing.

        Raises TryLaterError when documents of the job are gone, as when another job has begun it anew.
        """
        empty = np.empty((0, 0), dtype=np.float32)
        self.store.commit(self.name, self.source + LEFT_OUT, [StoredDocument(doc_id, "-", (), empty) for doc_id in sorted(left_out)])
        missing = self.missing()
        if count := missing.get(self.source):
            raise TryLaterError(f"{counted(count, 'document')} of {self.source!r} left the new generation of {self.collection!r} meanwhile")
        return missing

    def take_place(self, sources: Iterable[str]) -> None:
        """Put it in the place of the collection that is asked, which has documents of these sources, in one step."""
        try:
            swap(self.store, self.collection)
        except UsageError:
            # A job of another folder has put it there, which this one's lock does not keep out.
            if not self.is_over():
                raise
        self._forget_left_out({self.source, *sources})

    def _forget_left_out(self, sources: Iterable[str]) -> None:
        for source in sources:
            if noted := self.store.marks(self.collection, source + LEFT_OUT):
                self.store.remove(self.collection, source + LEFT_OUT, list(noted))


def find_generation(
    store: RebuildableStore, collection: str, source: str, made_with: MadeWith, *, asked: bool, fillers: Mapping[str, str]
) -> NextGeneration:
    """Return what a job does that may rebuild its collection. Blocks. Raises as `choose`."""

    def held(name: str) -> Held:
        space = store.fingerprint(name)
        return Held() if space is None else Held(space, store.marks(name, source))

    served, coming, former = held(collection), held(collection + REBUILT), held(collection + REPLACED)
    # Counting reads a collection whole.
    others = coming.space == served.space and bool(sources_of(store, collection + REBUILT).keys() - {source})
    found = Generations(served, replace(coming, others=others), former)
    return NextGeneration(store, collection, source, made_with, choose(collection, found, made_with, asked=asked), found, fillers)
