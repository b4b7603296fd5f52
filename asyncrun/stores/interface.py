"""The store port: documents with their chunks and vectors in, hits out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from asyncrun.records import Chunk, Hit
from asyncrun.short_help import ShortHelp, ShortHelpProtocol

if TYPE_CHECKING:
    from asyncrun.records import Vectors

SearchMode = Literal["vector", "keyword", "hybrid"]


@dataclass(frozen=True, slots=True)
class Collection(metaclass=ShortHelp):
    """A named set of documents whose vectors are of one space.

    >>> Collection("notes", fingerprint="8199be6f", dimensions=384).name
    'notes'
    """

    name: str
    fingerprint: str
    dimensions: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredDocument(metaclass=ShortHelp):
    """A document as it is committed: all of its chunks at once, with a `mark` that says what it was made from.

    `vectors` has one float32 row a chunk. Chunk `n` gets the id `<doc_id>#<n>`; a document that is one chunk keeps its own id.

    >>> import numpy as np
    >>> chunks = [Chunk("Cats purr.", 0, 10, 0), Chunk("Dogs bark.", 11, 21, 1)]
    >>> document = StoredDocument("pets", "v1", chunks, np.eye(2, dtype=np.float32), {"lang": "en"})
    >>> [document.chunk_id(chunk) for chunk in chunks]
    ['pets#0', 'pets#1']
    """

    doc_id: str
    mark: str
    chunks: Sequence[Chunk]
    vectors: Vectors
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def chunk_id(self, chunk: Chunk) -> str:
        """Return the id of a chunk in the store."""
        return self.doc_id if len(self.chunks) == 1 else f"{self.doc_id}#{chunk.ordinal}"


@dataclass(frozen=True, slots=True, eq=False)
class SearchRequest(metaclass=ShortHelp):
    """One question: its words for keyword search, its vector for vector search (None where the mode needs none).

    `filter` is in the contract's little language (`lang = 'en' and year >= 2024`), over the documents' metadata.

    >>> SearchRequest("who purrs?", None, mode="keyword", top_k=3, filter="lang = 'en'").top_k
    3
    """

    text: str
    vector: Vectors | None
    mode: SearchMode = "vector"
    top_k: int = 5
    filter: str | None = None


class VectorStore(Protocol, metaclass=ShortHelpProtocol):
    """Keeps collections. Its methods block: callers run them in a worker thread, one at a time.

    `source` is who owns documents; only documents of the named source are ever touched. What an adapter cannot do, it refuses.
    Raises StorageError, SpaceMismatchError, and UsageError for a filter that cannot be parsed or a collection that is not there.

    >>> import numpy as np, tempfile
    >>> from asyncrun.stores import SqliteStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store: VectorStore = SqliteStore(f"{folder}/index.db")
    ...     store.open_collection(Collection("pets", "a-model", 2))
    ...     chunk = Chunk("Cats purr.", 0, 10, 0)
    ...     store.commit("pets", "me", [StoredDocument("cats", "v1", [chunk], np.array([[1, 0]], np.float32))])
    ...     [[hit]] = store.search("pets", [SearchRequest("purr", None, mode="keyword")])
    ...     store.close()
    >>> hit.doc_id
    'cats'
    """

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space."""

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection is not there."""

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks; a document is there wholly or not at all, also after a kill."""

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents, in one transaction."""

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request, best first: at most `top_k`, a higher score is better."""

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there."""

    def revision(self, collection: str) -> str:
        """Return a word that changes whenever the collection's content changes."""

    def close(self) -> None:
        """Release files and connections; may be called twice. Where a run is cancelled, a thread may still be in another method."""


@runtime_checkable
class FieldStore(Protocol, metaclass=ShortHelpProtocol):
    """A store that can tell which metadata its documents have, so that a filter which can match nothing is told; nobody needs to be one.

    >>> from asyncrun.stores import SqliteStore
    >>> issubclass(SqliteStore, FieldStore)
    True
    """

    def has_field(self, collection: str, field: tuple[str, ...]) -> bool:
        """Tell whether a document has something at a path of names, outermost first; true where there is no document."""

    def fields(self, collection: str) -> list[str]:
        """Return the outermost names of all documents' metadata, sorted."""


@dataclass(frozen=True, slots=True)
class CollectionStats(metaclass=ShortHelp):
    """What a collection holds: how many documents each source has, how many chunks they are, and the bytes they take (None: unknown).

    >>> CollectionStats(Collection("pets", "8199be6f", 384), {"docs": 2}, chunks=5, size=None).chunks
    5
    """

    collection: Collection
    documents: Mapping[str, int]
    chunks: int
    size: int | None


@runtime_checkable
class BrowsableStore(Protocol, metaclass=ShortHelpProtocol):
    """A store that can tell what is in it, and give it back as it was put in: what a listing, an export and a copy need.

    >>> issubclass(list, BrowsableStore)
    False
    """

    def collections(self) -> list[Collection]:
        """Return all collections, other generations among them, sorted by name; empty where nothing was ever put in."""

    def stats(self, collection: str) -> CollectionStats:
        """Count what a collection holds. Raises UsageError when it is not there."""

    def documents(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        """Yield each document after its source, in the order of both, all from one state of the collection; memory stays flat.

        Raises UsageError when the collection is not there.
        """


REBUILT = "@rebuild"
"""Behind a collection's name: its next generation, while it is filled."""
REPLACED = "@replaced"
"""Behind a collection's name: its former generation, which can be gone back to."""
DROPPED = "@dropped"
"""Behind a collection's name: the generation before the former one, from a swap on until it is deleted, which is next."""


@runtime_checkable
class GenerationStore(Protocol, metaclass=ShortHelpProtocol):
    """A store that can put a collection into the place of another one in one step, so that it can be filled anew while it is asked.

    >>> issubclass(list, GenerationStore)
    False
    """

    def rename(self, names: Mapping[str, str]) -> None:
        """Give collections other names (former -> new), all in one step: every search sees all of it, or nothing. Two may change names.

        A kill leaves all done or nothing. Raises UsageError where a collection is not there, or a new name belongs to one that keeps it.
        """

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; one that is not there is passed over."""


@runtime_checkable
class DescribedStore(Protocol, metaclass=ShortHelpProtocol):
    """A store that says who answers; `asyncrun doctor` shows it.

    >>> issubclass(list, DescribedStore)
    False
    """

    def describe(self) -> str:
        """Return who answers, and what is in the way of filling it, in a few words: `PostgreSQL 17.2, pgvector 0.8.0`.

        Asked anew at each call. Raises what any method raises: TryLaterError where the store is away, AuthError, StorageError.
        """


@runtime_checkable
class SelectiveStore(Protocol, metaclass=ShortHelpProtocol):
    """A store that cannot hold every document, and says so before anything is paid for: such a document fails, the others go on.

    >>> issubclass(list, SelectiveStore)
    False
    """

    def refusal(self, doc_id: str, text: str, metadata: Mapping[str, Any]) -> str | None:
        """Return why a document cannot be kept, None when it can; asks nobody."""


@runtime_checkable
class RepairableStore(Protocol, metaclass=ShortHelpProtocol):
    """What a store has besides that can tell damage: an ingest job has its collection proved first, and sealed when it has ended.

    >>> from asyncrun.stores import SqliteStore
    >>> issubclass(SqliteStore, RepairableStore)
    True
    """

    def repair(self, collection: str) -> str | None:
        """Take out what is not as it was put in, so that it is put in again; returns a sentence about it, None when all is whole."""

    def seal(self, collection: str, source: str) -> None:
        """Take note that all documents of a source are there; until then a collection that lost some answers nothing."""
