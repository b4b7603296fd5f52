"""A chunker in a worker of an executor: texts come in groups, what goes back is where their chunks lie."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from asyncrun import registry
from asyncrun.chunkers.interface import Chunker, ChunkOptions
from asyncrun.chunkers.page_chunker import with_pages
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk


@dataclass(frozen=True, slots=True)
class ChunkerPart:
    """A chunker of the registry, as it travels to workers; `tokenizer` is pickled.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> part = chunker_part("sentence", ChunkOptions(size=14, overlap=0), ByteTokenizer())
    >>> async def main() -> None:
    ...     async with part.open() as chunker:
    ...         [packed] = await chunker.cut(["One is. Two is."])
    ...         print([chunk.text for chunk in unpack_chunks("One is. Two is.", packed)])
    >>> asyncio.run(main())
    ['One is.', 'Two is.']
    """

    by: str
    options: ChunkOptions
    tokenizer: bytes = field(repr=False)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WorkerChunker]:
        """Open it in a worker. Raises UsageError as the chunker does."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="asyncrun-chunker")
        try:
            yield WorkerChunker(await asyncio.get_running_loop().run_in_executor(thread, self._build), thread)
        finally:
            await asyncio.to_thread(thread.shutdown, cancel_futures=True)

    def _build(self) -> Chunker:
        tokenizer = pickle.loads(self.tokenizer)  # noqa: S301 (of the run itself)
        return cast("Chunker", registry.load("chunkers", self.by)(tokenizer, self.options))


@dataclass(frozen=True, slots=True, eq=False)
class WorkerChunker:
    """An open chunker, and the one thread that it works on: other calls of the worker go on meanwhile."""

    chunker: Chunker
    thread: ThreadPoolExecutor

    async def cut(self, texts: Sequence[str]) -> list[bytes]:
        """Return the chunks of each text, packed, in its order. Raises what the chunker raises."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, lambda: [self._cut(text) for text in texts])

    def _cut(self, text: str) -> bytes:
        return pack_chunks(text, with_pages(text, self.chunker(text)))


def chunker_part(by: str, options: ChunkOptions, tokenizer: Tokenizer) -> ChunkerPart | None:
    """Return the part of a chunker; None where its tokenizer cannot travel: it holds what does not pickle, or is the program's own."""
    if type(tokenizer).__module__ == "__main__":
        return None
    try:
        return ChunkerPart(by, options, pickle.dumps(tokenizer, protocol=5))
    except Exception:  # pickle promises no class of errors, and a tokenizer may have its own
        return None


def pack_chunks(text: str, chunks: Iterable[Chunk]) -> bytes:
    """Return chunks without their texts, which whoever has the document knows, but for that of a chunker which gives another one.

    They are bytes, so that no event loop on their way makes objects of them.
    """
    spans = [
        (each.start, each.end, each.ordinal, each.metadata, None if text[each.start : each.end] == each.text else each.text)
        for each in chunks
    ]
    return pickle.dumps(spans, protocol=5)


def unpack_chunks(text: str, packed: bytes) -> tuple[Chunk, ...]:
    """Return the chunks of a text that was cut in a worker.

    >>> text = "One is. Two is."
    >>> unpack_chunks(text, pack_chunks(text, [Chunk("Two is.", 8, 15, 1)]))
    (Chunk(text='Two is.', start=8, end=15, ordinal=1, metadata={}),)
    """
    spans = pickle.loads(packed)  # noqa: S301 (of the run's own worker)
    return tuple(
        Chunk(text[start:end] if own is None else own, start, end, ordinal, metadata) for start, end, ordinal, metadata, own in spans
    )
