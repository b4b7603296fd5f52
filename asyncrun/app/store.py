"""A store opened from Python: questions are answered at once, without a run, and documents come in through an ingest job."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, Unpack, overload

from asyncrun.aio.bridge import asyncio_run, run_then_leave
from asyncrun.app.builder import JobBuilder
from asyncrun.app.library import arun_request
from asyncrun.app.python_input import Documents, describe_input, text_given
from asyncrun.app.report import Report
from asyncrun.app.request import Request
from asyncrun.app.store_choice import EmbedderWords, find_embedder, literally, load_store
from asyncrun.app.store_search import Asked, StoreSearch
from asyncrun.callbacks.base import CallbackManager, current_manager
from asyncrun.errors import JobFileError, UsageError
from asyncrun.jobfile.job_keys import IngestionKeys
from asyncrun.jobfile.jobs import StoredCollection
from asyncrun.jobfile.loader import LoadOptions
from asyncrun.jobfile.objects import as_job_file, without_places
from asyncrun.jobfile.sections import EmbedderConfig, StoreConfig
from asyncrun.ledger.ledger import Ledger
from asyncrun.records import Hit
from asyncrun.short_help import ShortHelp
from asyncrun.state_folder import LEDGER, state_file_exists, state_folder
from asyncrun.stores.interface import SearchMode


class Store(metaclass=ShortHelp):
    """A store, opened once for many questions; `Store.open` makes one.

    `search` takes one question, or a list of them, whose hits come as a list each. `asearch` and `aingest` are the same inside of an
    event loop. A search records no run and writes nothing; the store's file and the embedder stay open until `close`. Handlers hear of a
    search as LlamaIndex tells of one: a RETRIEVE event with QUERY_STR and NODES (the hits), and in it EMBEDDING events.

    >>> with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/index.db") as store:
    ...     report = store.ingest([{"id": "a", "text": "Cats purr."}, {"id": "b", "text": "Dogs bark."}], "pets")
    ...     [hit.doc_id for hit in store.search("Which animal purrs?", "pets", top_k=1)]
    ['a']
    """

    def __init__(
        self,
        config: StoreConfig,
        builder: JobBuilder,
        embedder: EmbedderConfig | None,
        close: ExitStack,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._config = config
        self._builder = builder
        self._embedder = embedder
        self._manager = callback_manager
        self._filled: dict[str, EmbedderConfig] = {}
        self._search = StoreSearch(builder.store(config), builder.models, builder.ledger)
        self._close: ExitStack | None = close
        self._one_thread = threading.Lock()

    @classmethod
    def open(
        cls,
        store: str | Path,
        *,
        file: str | Path | None = None,
        embedder: EmbedderWords | None = None,
        variables: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        state_dir: str | Path | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> Store:
        """Open a store. Blocks for as long as it takes to read the job file.

        Args:
            store: the name of a store in the job file, else the path of an sqlite store, which need not be there yet.
            file: a job file; its jobs tell which embedder fills a collection.
            embedder: what embeds; None: what the job file says of the collection, else `local`.
            variables: values of `${...}`, before those of `environ`.
            environ: the environment, with the keys of providers; None: that of the process.
            state_dir: another state folder than the one beside the job file, or beside the store.
            callback_manager: whose handlers are told of what is done with the store; None: those of the manager that encloses a call.

        Raises JobFileError for a job file or an embedder with mistakes, UsageError for a name that is not there, StorageError.
        """
        environ, variables = dict(os.environ if environ is None else environ), dict(variables or {})
        reading = LoadOptions(variables=variables, environ=environ, check_inputs=False, need_keys=False)
        config, job_file = load_store(store, file, reading)
        chosen = None if embedder is None else find_embedder(embedder, job_file, reading)
        request = Request(job_file.path, environ=environ, variables=variables, state_dir=None if state_dir is None else Path(state_dir))
        with ExitStack() as stack:
            ledger_path = state_folder(request.file, request.state_dir) / LEDGER
            if not state_file_exists(ledger_path):
                # Without a ledger nothing is known; an empty one elsewhere leaves the folder as it is.
                ledger_path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / LEDGER
            ledger = Ledger(ledger_path)
            stack.callback(ledger.close)
            return cls(config, JobBuilder(request, job_file, ledger), chosen, stack.pop_all(), callback_manager)

    @overload
    def search(
        self, query: str, collection: str = ..., *, top_k: int = ..., mode: SearchMode = ..., filter: str | None = ...
    ) -> list[Hit]: ...

    @overload
    def search(
        self,
        query: list[str] | tuple[str, ...],
        collection: str = ...,
        *,
        top_k: int = ...,
        mode: SearchMode = ...,
        filter: str | None = ...,
    ) -> list[list[Hit]]: ...

    def search(
        self,
        query: str | list[str] | tuple[str, ...],
        collection: str = "documents",
        *,
        top_k: int = 5,
        mode: SearchMode = "vector",
        filter: str | None = None,
    ) -> list[Hit] | list[list[Hit]]:
        """Return the best hits, best first, also where an event loop is running.

        Args:
            query: a question, or a list of questions, which are embedded and asked together.
            collection: where to look.
            top_k: how many hits a question gets at most.
            mode: `vector`, by meaning; `keyword`, by words; `hybrid`, by both.
            filter: a condition on metadata, such as `lang = 'en' and year >= 2024`.

        Raises SpaceMismatchError when another embedder filled the collection, UsageError for a collection that is not there or a filter
        that cannot be read, ItemError for a question without a vector, and what is about the endpoint (AuthError, OutageError, ...).
        """
        asked = self._found([query] if isinstance(query, str) else query, collection, Asked(top_k, mode, filter))
        # A store is used by one thread at a time.
        with self._one_thread:
            # On a loop that ends with the call its connections end, too.
            found = asyncio_run(asked) if _keeps_loop() else run_then_leave(asked, self._builder.models.renew_connections)
        return found[0] if isinstance(query, str) else found

    @overload
    async def asearch(
        self, query: str, collection: str = ..., *, top_k: int = ..., mode: SearchMode = ..., filter: str | None = ...
    ) -> list[Hit]: ...

    @overload
    async def asearch(
        self,
        query: list[str] | tuple[str, ...],
        collection: str = ...,
        *,
        top_k: int = ...,
        mode: SearchMode = ...,
        filter: str | None = ...,
    ) -> list[list[Hit]]: ...

    async def asearch(
        self,
        query: str | list[str] | tuple[str, ...],
        collection: str = "documents",
        *,
        top_k: int = 5,
        mode: SearchMode = "vector",
        filter: str | None = None,
    ) -> list[Hit] | list[list[Hit]]:
        """Return the best hits, on the running event loop, as `search` does."""
        found = await self._found([query] if isinstance(query, str) else query, collection, Asked(top_k, mode, filter))
        return found[0] if isinstance(query, str) else found

    def ingest(
        self,
        documents: Documents,
        collection: str = "documents",
        *,
        embedder: EmbedderWords | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        **keys: Unpack[IngestionKeys],
    ) -> Report:
        """Put documents into a collection by an ingest job, with its ledger, and return what has come of it; also where a loop is running.

        Args:
            documents: a path or glob, what an ingest job has under `input`, or texts, or mappings with `text`, `id` and whatever else is
                kept as metadata. Relative paths start at the working directory.
            collection: where they go.
            embedder: what embeds; None: as for `search`.
            show_progress: shows bars on a terminal or in a notebook, and plain lines elsewhere, on stderr.
            callback_manager: its handlers are told of the events of the run; None: as of a search.
            keys: other keys of an ingest job: `chunk`, `source`, `prune`, `max_delete`, `max_failures`, ...

        What is finished is sent by no later call, what has not changed is left alone, and with `prune=True` what is no longer among the
        documents of this `source` (default `ingest`) leaves the collection. Raises as `run`.
        """
        return asyncio_run(
            self.aingest(documents, collection, embedder=embedder, show_progress=show_progress, callback_manager=callback_manager, **keys)
        )

    async def aingest(
        self,
        documents: Documents,
        collection: str = "documents",
        *,
        embedder: EmbedderWords | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        **keys: Unpack[IngestionKeys],
    ) -> Report:
        """Put documents into a collection, on the running event loop, as `ingest` does."""
        request, job_file = self._opened().request, self._builder.job_file
        reading = LoadOptions(variables=request.variables, environ=request.environ, check_inputs=False, need_keys=False)
        chosen = self._embedder_of(collection) if embedder is None else await asyncio.to_thread(find_embedder, embedder, job_file, reading)
        source = str(keys.get("source", "ingest"))
        # Those of one source are one job: two at once would each take out what the other puts in.
        place = repr((self._config.type, self._config.path, self._config.options, collection, source))
        file = self._builder.root / f"python-ingest-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        with tempfile.TemporaryDirectory() as folder:
            source_of_items = await asyncio.to_thread(describe_input, documents, Path(folder) / "documents.jsonl")
            filled = literally(text_given("collection", collection))
            entry = {"store": self._config, "embedder": chosen, "collection": filled, "input": source_of_items, **keys}
            try:
                described = as_job_file({"jobs": [{"kind": "ingest", "name": "ingest", **entry}]})
                request = Request(
                    file,
                    environ=request.environ,
                    variables={**request.variables, **described.variables},
                    state_dir=request.state_dir,
                    text=described.text,
                )
                report = await arun_request(request, show_progress=show_progress, callback_manager=callback_manager or self._manager_here())
            except JobFileError as error:
                raise without_places(error, "jobs[0].") from None
        self._filled[collection] = chosen
        return report

    def close(self) -> None:
        """Close the store, the embedder and the ledger; may be called twice."""
        asyncio_run(self.aclose())

    async def aclose(self) -> None:
        """Close, on the running event loop, as `close` does."""
        if self._close is not None:
            close, self._close = self._close, None
            await self._builder.aclose()
            await asyncio.to_thread(close.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _opened(self) -> JobBuilder:
        if self._close is None:
            raise UsageError("the store is closed", hint="Open it again with Store.open.")
        return self._builder

    def _embedder_of(self, collection: str) -> EmbedderConfig:
        """Return what was said to embed a collection, else what a job embeds that fills or asks it."""
        if chosen := self._filled.get(collection) or self._embedder:
            return chosen
        wanted, root, jobs = StoredCollection(self._config, collection), self._builder.root, self._builder.jobs
        filling = (job for job in jobs if job.fills is not None and job.fills.is_same(wanted, root))
        asking = (job for job in jobs if job.asks is not None and job.asks.is_same(wanted, root))
        known = next(filling, None) or next(asking, None)
        return EmbedderConfig(provider="local") if known is None else known.embedder

    async def _found(self, texts: Sequence[str], collection: str, asked: Asked) -> list[list[Hit]]:
        self._opened()
        if not isinstance(texts, list | tuple):
            raise UsageError(f"query is of the type {type(texts).__name__}, and must be a text or a list of texts")
        for text in texts:
            text_given("query", text)
        embedder = None if asked.mode == "keyword" else await asyncio.to_thread(self._embedder_of, collection)
        return await self._search.search(texts, collection, embedder, asked, self._manager_here())

    def _manager_here(self) -> CallbackManager:
        return self._manager or current_manager() or CallbackManager()


def _keeps_loop() -> bool:
    """Tell whether `asyncio_run` would run here on a loop that stays, and connections with it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False
