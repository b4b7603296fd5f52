"""Questions from Python to an open store: embedded by what filled the collection, asked together, nothing written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, get_args

from asyncrun.aio.jobs import run_jobs
from asyncrun.app.model_builder import ModelBuilder
from asyncrun.app.python_input import text_given
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.event_context import request_event
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import AsyncrunError, SpaceMismatchError, UsageError
from asyncrun.jobfile.sections import EmbedderConfig
from asyncrun.jobs.space_check import check_space
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import byte_size, pack
from asyncrun.records import Embedded, Hit, InputType
from asyncrun.stores.generations import served_generation
from asyncrun.stores.interface import SearchMode, SearchRequest, VectorStore

if TYPE_CHECKING:
    from asyncrun.embedders.interface import Embedder
    from asyncrun.records import Vectors


@dataclass(frozen=True, slots=True)
class Asked:
    """How questions are asked; see `SearchRequest`. Raises UsageError for what cannot be asked."""

    top_k: int
    mode: SearchMode
    filter: str | None

    def __post_init__(self) -> None:
        """Refuse what a type checker would, which a store would take for something else."""
        if not isinstance(self.top_k, Integral) or self.top_k < 1:
            raise UsageError(f"top_k is {self.top_k!r}, and must be a whole number of 1 or more")
        if self.mode not in get_args(SearchMode):
            raise UsageError(f"there is no mode {self.mode!r}; there are {', '.join(get_args(SearchMode))}")
        if self.filter is not None:
            text_given("filter", self.filter)


@dataclass(frozen=True, slots=True, eq=False)
class StoreSearch:
    """A store with what embeds questions for it; `ledger` knows which embedders there were."""

    store: VectorStore
    models: ModelBuilder
    ledger: Ledger
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    async def search(
        self, texts: Sequence[str], collection: str, embedder: EmbedderConfig | None, asked: Asked, manager: CallbackManager
    ) -> list[list[Hit]]:
        """Return the hits of each question; `embedder` is that of the collection, None where nothing is to be embedded.

        Handlers of the manager are told of a RETRIEVE event, and in it of an EMBEDDING event for each request. Raises what
        `asyncrun.Store.search` raises.
        """
        asked_for = texts[0] if len(texts) == 1 else list(texts)
        started = {EventPayload.QUERY_STR: asked_for, EventPayload.TOP_K: asked.top_k, "name": collection}
        with manager.event(CBEventType.RETRIEVE, payload=started) as event:
            generation, model = await asyncio.to_thread(self._ready, collection, embedder)
            vectors = [None] * len(texts) if model is None else await embed_questions(texts, model, manager)
            requests = [
                SearchRequest(text, vector, asked.mode, asked.top_k, asked.filter) for text, vector in zip(texts, vectors, strict=True)
            ]
            found = await asyncio.to_thread(self._ask, collection, requests, generation)
            while found is None:
                # Another generation has taken the place of the collection: the questions fit it, or it is refused.
                generation, _ = await asyncio.to_thread(self._ready, collection, embedder)
                found = await asyncio.to_thread(self._ask, collection, requests, generation)
            event.on_end({EventPayload.NODES: found[0] if len(texts) == 1 else found})
        return found

    def _ready(self, collection: str, config: EmbedderConfig | None) -> tuple[object, Embedder | None]:
        """Return which generation is asked, and what embeds, once it is known that the collection is there and of its space. Blocks.

        So no request is paid in vain.
        """
        with self.one_at_a_time:
            generation = served_generation(self.store, collection)
            if self.store.fingerprint(collection) is None:
                self.store.search(collection, [])
            if config is None:
                return generation, None
            embedder = self.models.embedder(config)
            embedder.check()
            try:
                check_space(self.store, collection, embedder, self.ledger)
            except SpaceMismatchError as error:
                error.hint = "Name the one that filled it: Store.open(..., embedder=...), or the job file whose job fills it."
                raise
            return generation, embedder

    def _ask(self, collection: str, requests: Sequence[SearchRequest], generation: object) -> list[list[Hit]] | None:
        """Return the hits, None where they may be those of another generation. Blocks."""
        with self.one_at_a_time:
            try:
                found = self.store.search(collection, requests)
            except AsyncrunError:
                if served_generation(self.store, collection) == generation:
                    raise
                return None
            return found if served_generation(self.store, collection) == generation else None


async def embed_questions(texts: Sequence[str], embedder: Embedder, manager: CallbackManager) -> list[Vectors]:
    """Return the vectors of questions. Raises ItemError for the first that has none, and what ended a call."""
    batches = list(pack(((at, byte_size(text)) for at, text in enumerate(texts)), embedder.batch, lambda: embedder.tokens_per_byte))
    calls = [partial(_embed_batch, [texts[at] for at in batch], embedder, manager) for batch in batches]
    answers: list[Embedded] = [await calls[0]()] if len(calls) == 1 else await run_jobs(calls, workers=embedder.workers)
    vectors: dict[int, Vectors] = {}
    for batch, answer in zip(batches, answers, strict=True):
        answer.or_raise()
        if answer.failures:
            failure = answer.failures[0]
            raise failure.as_error(f"question {batch[failure.position]}" if len(texts) > 1 else "", "Ask with another text.")
        vectors.update((batch[at], vector) for at, vector in zip(answer.positions, answer.vectors, strict=True))
    return [vectors[at] for at in range(len(texts))]


async def _embed_batch(texts: Sequence[str], embedder: Embedder, manager: CallbackManager) -> Embedded:
    about = {"class_name": type(embedder).__name__, "model_name": embedder.model_name}
    with request_event(manager, CBEventType.EMBEDDING, about, {EventPayload.MODEL_NAME: embedder.model_name}) as event:
        answer = await embedder.aembed(texts, InputType.QUERY)
        if manager.handlers:
            rows = answer.vectors.tolist()
            event.on_end({EventPayload.CHUNKS: list(texts), EventPayload.EMBEDDINGS: rows, "tokens": answer.usage.tokens})
    return answer
