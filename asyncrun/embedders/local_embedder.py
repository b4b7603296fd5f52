"""The embedder that needs no key and no network: all-MiniLM-L6-v2, carried by a wheel, on worker threads."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.interface import Empty, TooLong
from asyncrun.embedders.local_model import DIMENSIONS, MAX_TOKENS, MODEL, MODEL_NAME, MiniLM
from asyncrun.embedders.tokenizer import MiniLMTokenizer
from asyncrun.errors import ArgumentError
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, EmbedFailure, InputType, Space
from asyncrun.usage import Usage, Waits, usable_processors

if TYPE_CHECKING:
    from asyncrun.records import Vectors

A = TypeVar("A")
T = TypeVar("T")

MAX_THREADS = 4
"""More threads read the same weights from the same memory; what they add was not worth their memory."""


class LocalEmbedding(BaseEmbedding):
    """all-MiniLM-L6-v2 in int8: 384 dimensions, unit length, at most 256 tokens of a text.

    The model is loaded when the first text comes, on a worker thread, after its SHA-256 was checked. A text alone in its pass
    through the model has the same vector, bit for bit, whatever else is embedded; batches in one pass are slower besides.

    Args:
        threads: Texts embedded at once; default: the usable processors, at most 4.
        clock: Times how long texts wait for a thread, and are worked on.
        on_too_long: Default `truncate`: the first 256 tokens stand for the text.

    The other arguments are those of `BaseEmbedding`.

    >>> import asyncio
    >>> async def main() -> int:
    ...     async with LocalEmbedding() as embedder:
    ...         return len(await embedder.aget_text_embedding("a text"))
    >>> asyncio.run(main())
    384

    Raises ArgumentError for another model or another number of dimensions, StorageError when the files are not the right ones.
    """

    provider = "local"

    def __init__(
        self,
        *,
        model: str = MODEL_NAME,
        dimensions: int | None = None,
        document_prefix: str = "",
        query_prefix: str = "",
        space: str | None = None,
        batch: BatchLimits | None = None,
        on_too_long: TooLong = "truncate",
        on_empty: Empty = "fail",
        threads: int | None = None,
        clock: Clock | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if model != MODEL_NAME:
            raise ArgumentError(f"local has the model {MODEL_NAME} only, not {model!r}", hint="Leave `model` out, or choose a provider.")
        if dimensions not in (None, DIMENSIONS):
            raise ArgumentError(f"{MODEL_NAME} has {DIMENSIONS} dimensions, not {dimensions}", hint="Leave `dimensions` out.")
        self.threads = threads or min(usable_processors(), MAX_THREADS)
        super().__init__(
            model=model,
            # About a second of work: a batch is durable as a whole, and a kill repeats those in flight.
            batch=batch or BatchLimits(max_items=16),
            workers=self.threads,
            on_too_long=on_too_long,
            on_empty=on_empty,
            document_prefix=document_prefix,
            query_prefix=query_prefix,
            price_per_million_tokens=0.0,
            max_input_tokens=MAX_TOKENS,
            callback_manager=callback_manager,
        )
        self._space = Space(self.provider, MODEL.sha256, name=space)
        self.tokenizer: MiniLMTokenizer = MiniLMTokenizer()
        self._model = MiniLM()
        self._clock = clock or SystemClock()
        self._opening = threading.Lock()
        self._threads: _Threads | None = None

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        return DIMENSIONS

    def space(self, input_type: InputType) -> Space:
        """Return the vector space, the same for documents and queries."""
        return self._space

    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        whole = self.on_too_long != "truncate"
        with self._open_threads() as pool:
            # After an error or a cancellation, what a thread is at ends within one text.
            return _outcome(*await call_on_threads(pool, partial(self._embed_one, whole=whole), texts, self._clock))

    @contextmanager
    def _open_threads(self) -> Iterator[Executor]:
        with self._opening:
            if self._threads is None or self._threads.process != os.getpid():
                self._threads = _Threads(ThreadPoolExecutor(self.threads, thread_name_prefix="asyncrun-local"))
            threads = self._threads
            threads.calls += 1
        try:
            yield threads.pool
        finally:
            with self._opening:
                threads.calls -= 1
                ended = not threads.calls and threads is not self._threads
            if ended:
                threads.pool.shutdown(wait=False)

    def _embed_one(self, text: str, whole: bool) -> _TextVector:
        tokens, cut = self.tokenizer.ids(text, MAX_TOKENS)
        return _TextVector(None, 0, cut=False) if cut and whole else _TextVector(self._model.vector(tokens), len(tokens), cut)

    async def aclose(self) -> None:
        """End the threads and let go of the model; may be called twice, and both come back when the embedder is used again.

        Threads that another loop's call is at end with it.
        """
        with self._opening:
            threads, self._threads = self._threads, None
            idle = threads is not None and not threads.calls and threads.process == os.getpid()
        if threads is not None and idle:
            await asyncio.to_thread(threads.pool.shutdown)
        self._model.unload()
        await super().aclose()


@dataclass(slots=True, eq=False)
class _Threads:
    """Threads, how many calls use them at the moment, and the process that has them: after a fork the other one does not."""

    pool: ThreadPoolExecutor
    calls: int = 0
    process: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True, eq=False)
class _TextVector:
    """What the model made of one text; no vector when it was to be embedded whole and is too long."""

    vector: Vectors | None
    tokens: int
    cut: bool


def _outcome(texts: Sequence[_TextVector], waits: Waits) -> Embedded:
    vectors = {position: text.vector for position, text in enumerate(texts) if text.vector is not None}
    message = f"the text has more than {MAX_TOKENS} tokens"
    return Embedded(
        np.stack(list(vectors.values())) if vectors else np.empty((0, DIMENSIONS), np.float32),
        tuple(vectors),
        tuple(EmbedFailure(position, "too_long", message, attempts=0) for position in range(len(texts)) if position not in vectors),
        frozenset(position for position in vectors if texts[position].cut),
        Usage(requests=1, tokens=sum(text.tokens for text in texts), cost=0.0),
        waits,
    )


async def call_on_threads(pool: Executor, call: Callable[[A], T], arguments: Sequence[A], clock: Clock) -> tuple[list[T], Waits]:
    """Call once for each argument and return the results in their order, with what they waited for.

    `queue` is the time before the first call began, `compute` that from then to the end of the last: a pool begins calls in the order
    in which they were given, so that one of these is always at work. Raises what a call raises; after that, or when it is cancelled,
    nothing that is still in line is begun.
    """
    if not arguments:
        return [], Waits()
    loop, begun, asked = asyncio.get_running_loop(), asyncio.Event(), clock.monotonic()
    first: list[float] = []

    def timed(argument: A) -> T:
        if not first:
            first.append(clock.monotonic())
            loop.call_soon_threadsafe(begun.set)
        return call(argument)

    work = [asyncio.wrap_future(pool.submit(timed, argument)) for argument in arguments]
    try:
        with waiting("queue"):
            await begun.wait()
        with waiting("compute", idle=False):
            results = await asyncio.gather(*work)
    finally:
        for future in work:
            future.cancel()
    return results, Waits(queue=first[0] - asked, compute=clock.monotonic() - first[0])
