"""What programs call an embedder by: LlamaIndex's methods, with and without `await`; each of their requests is an EMBEDDING event."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from asyncrun.aio.bridge import run_then_leave
from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks.base import CallbackManager, current_manager
from asyncrun.callbacks.event_context import request_event
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.embedders.same_model import SimilarityMode, Vector, similarity
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, InputType
from asyncrun.short_help import ShortHelpABC

T = TypeVar("T")
Nodes = TypeVar("Nodes", bound=Sequence[Any])


def mean_agg(embeddings: Sequence[Vector]) -> list[float]:
    """Return the mean of vectors of equal length, number by number.

    >>> mean_agg([[1.0, 2.0], [3.0, 4.0]])
    [2.0, 3.0]

    Raises ValueError when there is none.
    """
    if not len(embeddings):
        raise ValueError("there are no embeddings to aggregate")
    mean: list[float] = np.asarray(embeddings, dtype=np.float64).mean(axis=0).tolist()
    return mean


class LibraryMethods(metaclass=ShortHelpABC):
    """LlamaIndex's methods over `aembed`.

    Handlers of `callback_manager`, else of the manager that encloses the call, are told of each request: at its start the class and the
    model, at its end `EventPayload.CHUNKS`, `EventPayload.EMBEDDINGS` and `tokens`, as the server has counted them (0: it has not).
    """

    model_name: str
    batch: BatchLimits
    workers: int
    callback_manager: CallbackManager

    @abstractmethod
    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> Embedded:
        """Embed texts; every one ends with a proven vector or with a failure."""

    @abstractmethod
    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the places of texts that go out together."""

    @abstractmethod
    async def leave_loop(self) -> None:
        """Let go of what belongs to the running event loop, such as connections."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return cls.__name__

    @property
    def embed_batch_size(self) -> int:
        """Return how many texts go out in one request at most."""
        return self.batch.max_items

    @embed_batch_size.setter
    def embed_batch_size(self, size: int) -> None:
        self.batch = replace(self.batch, max_items=size)

    @property
    def num_workers(self) -> int:
        """Return how many requests of one call are in flight at most."""
        return self.workers

    @num_workers.setter
    def num_workers(self, number: int) -> None:
        self.workers = number

    async def aget_text_embedding(self, text: str) -> list[float]:
        """Return the vector of a document. Raises ItemError when it has none."""
        if not (self.callback_manager.handlers or current_manager()):
            return _rows(await self.aembed([text], InputType.DOCUMENT), 1)[0]
        return (await self._told([text], InputType.DOCUMENT))[0]

    async def aget_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of documents that make one batch, in their order. Raises ItemError when one has none."""
        if not (self.callback_manager.handlers or current_manager()):
            return _rows(await self.aembed(texts, InputType.DOCUMENT), len(texts))
        return await self._told(texts, InputType.DOCUMENT)

    async def aget_query_embedding(self, query: str) -> list[float]:
        """Return the vector of a query. Raises ItemError when it has none."""
        if not (self.callback_manager.handlers or current_manager()):
            return _rows(await self.aembed([query], InputType.QUERY), 1)[0]
        return (await self._told([query], InputType.QUERY))[0]

    async def aget_text_embedding_batch(self, texts: Sequence[str], show_progress: bool = False, **_: Any) -> list[list[float]]:
        """Return the vectors of any number of documents, in their order; batches run `workers` at a time.

        Raises ItemError for the first text that has none.
        """

        async def one_batch(batch: list[int]) -> list[list[float]]:
            sent = [texts[position] for position in batch]
            if not (self.callback_manager.handlers or current_manager()):
                return _rows(await self.aembed(sent, InputType.DOCUMENT), len(sent), batch)
            return await self._told(sent, InputType.DOCUMENT, batch)

        jobs = [partial(one_batch, batch) for batch in self._batches(texts)]
        own = self.callback_manager if self.callback_manager.handlers and isinstance(self.callback_manager, CallbackManager) else None
        answers = await run_jobs(
            jobs, show_progress=show_progress, workers=self.workers, desc="Generating embeddings", callback_manager=own
        )
        return [row for rows in answers for row in rows]

    async def aget_agg_embedding_from_queries(
        self, queries: Sequence[str], agg_fn: Callable[[Sequence[Vector]], list[float]] | None = None
    ) -> list[float]:
        """Return what `agg_fn` (the mean) makes of the vectors of queries."""
        return (agg_fn or mean_agg)([await self.aget_query_embedding(query) for query in queries])

    async def acall(self, nodes: Nodes, **kwargs: Any) -> Nodes:
        """Give LlamaIndex's nodes the vectors of what they hold, and return them."""
        texts = [node.get_content(metadata_mode="embed") for node in nodes]
        for node, vector in zip(nodes, await self.aget_text_embedding_batch(texts, **kwargs), strict=True):
            node.embedding = vector
        return nodes

    def get_text_embedding(self, text: str) -> list[float]:
        """Return the vector of a document, as `aget_text_embedding`, from code that is not asynchronous."""
        return self._run_here(self.aget_text_embedding(text))

    def get_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of documents, as `aget_text_embeddings`, from code that is not asynchronous."""
        return self._run_here(self.aget_text_embeddings(texts))

    def get_query_embedding(self, query: str) -> list[float]:
        """Return the vector of a query, as `aget_query_embedding`, from code that is not asynchronous."""
        return self._run_here(self.aget_query_embedding(query))

    def get_text_embedding_batch(self, texts: Sequence[str], show_progress: bool = False, **_: Any) -> list[list[float]]:
        """Return the vectors of documents, as `aget_text_embedding_batch`, from code that is not asynchronous."""
        return self._run_here(self.aget_text_embedding_batch(texts, show_progress))

    def get_agg_embedding_from_queries(
        self, queries: Sequence[str], agg_fn: Callable[[Sequence[Vector]], list[float]] | None = None
    ) -> list[float]:
        """Return what `agg_fn` (the mean) makes of the vectors of queries, from code that is not asynchronous."""
        return self._run_here(self.aget_agg_embedding_from_queries(queries, agg_fn))

    def __call__(self, nodes: Nodes, **kwargs: Any) -> Nodes:
        """Give LlamaIndex's nodes the vectors of what they hold, from code that is not asynchronous."""
        return self._run_here(self.acall(nodes, **kwargs))

    def similarity(self, embedding1: Vector, embedding2: Vector, mode: SimilarityMode | str = SimilarityMode.DEFAULT) -> float:
        """Return how alike two vectors are: `cosine`, `dot_product` or `euclidean`; higher is more alike."""
        return similarity(embedding1, embedding2, mode)

    async def _told(self, texts: Sequence[str], input_type: InputType, numbers: Sequence[int] | None = None) -> list[list[float]]:
        """Return the vectors of one request, and tell of it. Where nobody listens this is not called: a call more is 3 % of a request."""
        manager = self.callback_manager if self.callback_manager.handlers else current_manager() or self.callback_manager
        about = {"class_name": self.class_name(), "model_name": self.model_name, "embed_batch_size": self.embed_batch_size}
        with request_event(manager, CBEventType.EMBEDDING, about, {EventPayload.MODEL_NAME: self.model_name}) as event:
            answer = await self.aembed(texts, input_type)
            rows = _rows(answer, len(texts), numbers)
            event.on_end({EventPayload.CHUNKS: list(texts), EventPayload.EMBEDDINGS: rows, "tokens": answer.usage.tokens})
        return rows

    def _run_here(self, work: Coroutine[Any, Any, T]) -> T:
        return run_then_leave(work, self.leave_loop)


def _rows(answer: Embedded, count: int, numbers: Sequence[int] | None = None) -> list[list[float]]:
    """Return all rows as lists, or raise the error or the first failure; `numbers` says which text of the caller each position is."""
    answer.or_raise()
    if answer.failures:
        failure = answer.failures[0]
        number = failure.position if numbers is None else numbers[failure.position]
        raise failure.as_error(f"text {number}" if count > 1 or number else "")
    rows: list[list[float]] = answer.vectors.tolist()
    return rows
