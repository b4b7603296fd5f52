"""What the commands of `asyncrun store` do with one store: its collections are listed, counted, asked, written to a file, and put back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncrun.app.build_section import build_store
from asyncrun.app.request import environment_secrets
from asyncrun.app.state_lock import enter_as_run
from asyncrun.app.store import Store
from asyncrun.app.store_choice import load_store
from asyncrun.app.store_search import Asked
from asyncrun.errors import DamagedStateError, SpaceMismatchError, UsageError
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.checks import VECTORS_ALONE
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.loader import LoadOptions
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.ledger.spaces import described_spaces
from asyncrun.records import Hit
from asyncrun.redact import Redactor, redact_error
from asyncrun.state_folder import LEDGER, state_file_exists, state_folder
from asyncrun.stores.generations import LEFT_OUT, roll_back
from asyncrun.stores.interface import REPLACED, BrowsableStore, FieldStore, StoredDocument, VectorStore
from asyncrun.ui.stores import CollectionView
from asyncrun.writers.interface import format_of, open_writer

COLUMNS = ("id", "doc_id", "source", "ordinal", "text", "start", "end", "embedding", "metadata", "chunk_metadata", "mark")
"""`metadata` are the document's, `chunk_metadata` those of the chunk alone; `mark` says what the document was made from."""


@dataclass(frozen=True, slots=True)
class StoreCall:
    """What a command says of a store: its name in the job file `file`, or, always where that is None, the path of an sqlite store."""

    store: str
    file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    state_dir: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OpenedStore:
    """A store with the job file that it is of, which is one of its own for a path alone."""

    name: str
    config: StoreConfig
    job_file: JobFile
    adapter: VectorStore

    @property
    def browsable(self) -> BrowsableStore:
        """Return the store as one that tells what is in it. Raises UsageError for one that does not."""
        if isinstance(self.adapter, BrowsableStore):
            return self.adapter
        hint = "Use one that can: sqlite, pgvector, qdrant or lancedb."
        raise UsageError(f"the store type {self.config.type} cannot tell what is in it", hint=hint)


@contextmanager
def open_store(call: StoreCall, *, may_be_new: bool = False) -> Iterator[OpenedStore]:
    """Open a store for as long as the block runs; secrets of its job file are taken out of errors. Blocks.

    Raises JobFileError, UsageError for a name that is not there, StorageError.
    """
    config, job_file = _load(call, may_be_new)
    with _without_secrets(call, job_file):
        adapter = build_store(config, job_file.root)
        try:
            yield OpenedStore(call.store, config, job_file, adapter)
        finally:
            adapter.close()


@contextmanager
def _without_secrets(call: StoreCall, job_file: JobFile) -> Iterator[None]:
    """Take secrets out of the errors of the block: whoever shows them does not know those of the job file."""
    try:
        yield
    except Exception as error:
        redact_error(error, Redactor({*job_file.secrets(), *environment_secrets(call.environ)}).redact)
        raise


def list_collections(call: StoreCall) -> tuple[StoreConfig, list[CollectionView]]:
    """Return a store, and each of its collections, sorted by name. Blocks. Raises as `open_store`, and TryLaterError."""
    with open_store(call) as opened:
        return opened.config, list(_views(call, opened, [collection.name for collection in opened.browsable.collections()]))


def view_collection(call: StoreCall, name: str) -> CollectionView:
    """Return what one collection holds. Blocks. Raises as `list_collections`, and UsageError for one that is not there."""
    with open_store(call) as opened:
        [view] = _views(call, opened, [name])
        return replace(view, fields=opened.adapter.fields(name)) if isinstance(opened.adapter, FieldStore) else view


def search_collection(call: StoreCall, name: str, query: str, asked: Asked, embedder: str | None) -> list[Hit]:
    """Return the hits of a question, embedded as the job file says of the collection, unless an embedder is named. Blocks.

    Raises what `asyncrun.Store.search` raises.
    """
    config, job_file = _load(call)
    if asked.mode != "vector" and config.type in VECTORS_ALONE:
        # Before the question is embedded, which may cost something.
        raise UsageError(f"the store type {config.type} has no {asked.mode} search", hint="Leave --mode out: it is searched by vector.")
    named = call.store if call.store in job_file.stores else Path(call.store).absolute()
    with _without_secrets(call, job_file):
        try:
            with Store.open(named, file=call.file, embedder=embedder, environ=call.environ, state_dir=call.state_dir) as store:
                return store.search(query, name, top_k=asked.top_k, mode=asked.mode, filter=asked.filter)
        except SpaceMismatchError as error:
            error.hint = "Name the embedder that filled it with -e, or with -f the job file whose job fills it."
            raise


def export_collection(call: StoreCall, collection: str, output: str) -> tuple[int, int]:
    """Write the chunks of a collection, all from one state of it, ordered by source and document; returns how many documents and chunks.

    Raises UsageError for a collection that is not there, OutputError and StorageError.
    """
    path = output if output == STDOUT else Path(output)
    if isinstance(path, Path) and format_of(path) == "npy":
        raise UsageError("a collection is more than its vectors, and .npy holds nothing else", hint="Name a .jsonl, .parquet or .csv file.")
    documents = chunks = 0
    with open_store(call) as opened:
        found = opened.browsable.documents(collection)
        # Who raises for a collection that is not there does so before the first file is made.
        opened.browsable.stats(collection)
        writer = open_writer(path, "jsonl" if path == STDOUT else None, sys.stdout.buffer if path == STDOUT else None, COLUMNS)
        try:
            for source, document in found:
                documents += not source.endswith(LEFT_OUT)
                for row in _rows(source, document):
                    writer.write(row)
                    chunks += 1
            writer.commit()
        finally:
            writer.abort()
    return documents, chunks


def roll_back_collection(call: StoreCall, collection: str | None) -> CollectionView:
    """Put the former generation in the place of a collection, in one step, and that in its place; returns what is asked now. Blocks.

    None stands for the one collection that has a former generation. Takes the lock of the job file, as a run does. Raises UsageError
    where there is none, or several; LockedError; and what the store raises.
    """
    with enter_as_run(call.file, call.state_dir), open_store(call) as opened:
        name = _only_one(opened) if collection is None else collection
        roll_back(opened.adapter, name)
        [view] = _views(call, opened, [name])
        return view


def _load(call: StoreCall, may_be_new: bool = False) -> tuple[StoreConfig, JobFile]:
    if call.file is None and not may_be_new and not Path(call.store).is_file():
        hint = "Name the path of an sqlite store, or the job file with -f: asyncrun store list docs -f jobs.yaml"
        raise UsageError(f"no file {call.store!r} is here, and no job file that would have a store of this name", hint=hint)
    reading = LoadOptions(environ=call.environ, stores=(call.store,), check_inputs=False, need_keys=False)
    return load_store(call.store, call.file, reading, base=Path.cwd(), may_be_new=may_be_new)


def _views(call: StoreCall, opened: OpenedStore, collections: Iterable[str]) -> Iterator[CollectionView]:
    """Yield what collections hold, without the documents that only say what a rebuild goes without."""
    spaces = _known_spaces(opened.job_file, call)
    for name in collections:
        stats = opened.browsable.stats(name)
        documents = {source: count for source, count in stats.documents.items() if not source.endswith(LEFT_OUT)}
        yield CollectionView(replace(stats, documents=documents), spaces.get(stats.collection.fingerprint))


def _known_spaces(job_file: JobFile, call: StoreCall) -> dict[str, Mapping[str, Any]]:
    """Return what describes the spaces that the ledger beside a job file knows, by their fingerprints. Blocks."""
    path = state_folder(job_file.path, call.state_dir) / LEDGER
    try:
        return dict(described_spaces(path)) if state_file_exists(path) else {}
    except DamagedStateError:
        return {}  # The next run mends it; what is in a store can be told without.


def _rows(source: str, document: StoredDocument) -> Iterator[dict[str, Any]]:
    for chunk, vector in zip(document.chunks, document.vectors, strict=True):
        yield {
            "id": document.chunk_id(chunk),
            "doc_id": document.doc_id,
            "source": source,
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "embedding": vector,
            "metadata": dict(document.metadata),
            "chunk_metadata": dict(chunk.metadata),
            "mark": document.mark,
        }


def _only_one(opened: OpenedStore) -> str:
    names = [found.name.removesuffix(REPLACED) for found in opened.browsable.collections() if found.name.endswith(REPLACED)]
    if not names:
        hint = "There is one after a rebuild, until `asyncrun clean` removes it."
        raise UsageError(f"no collection of the store {opened.name!r} has a former generation", hint=hint)
    if len(names) > 1:
        hint = f"Name one: asyncrun store rollback {opened.name} {names[0]}"
        raise UsageError(f"{len(names)} collections of the store {opened.name!r} have a former generation: {', '.join(names)}", hint=hint)
    return names[0]
