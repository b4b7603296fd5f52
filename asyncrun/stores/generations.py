"""Generations of a collection: the one that is asked, the next one while it is filled, and the former one, which can be gone back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from asyncrun.errors import UsageError
from asyncrun.stores.interface import DROPPED, REBUILT, REPLACED, BrowsableStore, GenerationStore, VectorStore

LEFT_OUT = "@left-out"
"""Behind the name of a source: holds, without a chunk, the documents of that source which the next generation goes without."""


@runtime_checkable
class RebuildableStore(VectorStore, BrowsableStore, GenerationStore, Protocol):
    """A store of which a collection can be filled anew while it is asked: what is in it can be counted, and it changes in one step."""


def rebuildable(store: VectorStore) -> RebuildableStore:
    """Return the store as one whose collections have generations. Raises UsageError where they cannot have any."""
    if isinstance(store, RebuildableStore):
        return store
    raise UsageError(
        f"a {type(store).__name__} cannot put one collection in the place of another, so that nothing is rebuilt in it",
        hint="Leave `on_new_space: rebuild` out, and fill another collection.",
    )


def is_generation(collection: str) -> bool:
    """Tell whether a collection is another one's next or former generation.

    >>> is_generation("notes@rebuild"), is_generation("notes")
    (True, False)
    """
    return collection.endswith((REBUILT, REPLACED, DROPPED))


def swap(store: RebuildableStore, collection: str) -> None:
    """Put the next generation in the place of the collection, which becomes the former one. Blocks.

    A kill leaves the collection as it was, or swapped. The generation before the former one goes only then: of two that swap at once,
    the second one changes nothing. Raises UsageError where there is no next generation.
    """
    store.drop(collection + DROPPED)
    makes_room = {collection + REPLACED: collection + DROPPED, collection: collection + REPLACED}
    there = {name: new for name, new in makes_room.items() if store.fingerprint(name) is not None}
    store.rename({**there, collection + REBUILT: collection})
    store.drop(collection + DROPPED)


def roll_back(store: VectorStore, collection: str) -> None:
    """Put the former generation in the place of a collection, and that in its place: done twice, all is as it was. Blocks.

    Raises UsageError where there is no former generation, or a store has none.
    """
    generations = rebuildable(store)
    if generations.fingerprint(collection + REPLACED) is None:
        raise UsageError(
            f"there is no generation of {collection!r} before this one",
            hint="There is one after a rebuild, until `asyncrun clean` removes it.",
        )
    served = {collection: collection + REPLACED} if generations.fingerprint(collection) is not None else {}
    generations.rename({**served, collection + REPLACED: collection})


def sources_of(store: RebuildableStore, collection: str) -> Mapping[str, int]:
    """Return how many documents each source has; nothing for a collection that is not there. Blocks."""
    if store.fingerprint(collection) is None:
        return {}
    documents = store.stats(collection).documents
    return {source: count for source, count in documents.items() if count and not source.endswith(LEFT_OUT)}


def served_generation(store: VectorStore, collection: str) -> tuple[str | None, str]:
    """Return a word that changes whenever another generation is asked, also after one has gone back to it. Blocks."""
    former = store.revision(collection + REPLACED) if isinstance(store, RebuildableStore) else ""
    return store.fingerprint(collection), former


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """How far the next generation of a collection is, in documents."""

    done: int
    of: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.of:,} documents"


def rebuild_progress(store: VectorStore, collection: str, fingerprint: str) -> RebuildProgress | None:
    """Return how far a rebuild into a space is, None where none goes on. Blocks."""
    if not isinstance(store, RebuildableStore) or store.fingerprint(collection + REBUILT) != fingerprint:
        return None
    done, of = (sum(sources_of(store, name).values()) for name in (collection + REBUILT, collection))
    return RebuildProgress(done, max(done, of))
