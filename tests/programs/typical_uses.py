"""What users write who check their types strictly: jobs, embedders, chat, pools, handlers, stores, fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import asyncrun
from asyncrun import CallbackManager, CBEventType, Outcome, Report, RunOptions, StopRunError
from asyncrun.aio import Limits, RetryPolicy
from asyncrun.callbacks import TokenCountingHandler, trace_method
from asyncrun.embedders import BaseEmbedding, LocalEmbedding, OpenAIEmbedding, SimilarityMode
from asyncrun.jobs import EmbedJob, IngestJob, QueryJob
from asyncrun.llms import Answer, Declined, Message, OpenAI, OpenAIChat
from asyncrun.stores import Hit, SearchRequest, SqliteStore
from asyncrun.testing import FakeServer, Quota


def run_jobs_of_a_folder() -> int:
    """Jobs by their names, a report."""
    fill = IngestJob(name="fill", input="notes/*.md", store={"type": "sqlite", "path": "index.db"}, collection="notes")
    ask = QueryJob(
        name="ask", input={"items": ["who?"]}, store={"type": "sqlite", "path": "index.db"}, collection="notes", output="hits.jsonl"
    )
    report: Report = asyncrun.run([fill, ask], options=RunOptions(limit=10), show_progress=True)
    report.check()
    rows: list[dict[str, Any]] = list(report.rows("ask"))
    return report.exit_code + len(rows)


def every_form(folder: Path) -> list[EmbedJob | IngestJob | QueryJob]:
    """Keys in the forms that a job file has, and paths."""
    openai = {"provider": "openai", "model": "text-embedding-3-small", "limits": {"requests_per_minute": 600}}
    return [
        EmbedJob(name="a", input=folder / "a.jsonl", output=folder / "a.npy", workers="auto", max_failures="1%", embedder="local"),
        EmbedJob(name="b", input=["b/*.md", folder], output={"path": "-", "format": "jsonl"}, needs=["a"], embedder=openai),
        IngestJob(name="c", input={"path": "c/*.md", "id": "{path}"}, chunk={"size": 200}, prune=True, max_delete=10),
        QueryJob(name="d", input="d.jsonl", output="d.jsonl", top_k=3, search="hybrid", max_runtime="15m", budget={"cost": 1.5}),
    ]


def fill(store: asyncrun.Store, folder: Path) -> str:
    """Documents come into a store with keys of an ingest job."""
    return store.ingest(str(folder / "*.md"), "notes", chunk={"size": 200}, prune=True, max_failures="1%").status


def mistakes(store: asyncrun.Store) -> None:
    """Each is found before the program runs; without a mistake the comment would be one."""
    store.ingest(["a text"], purge=True)  # type: ignore[call-arg]
    EmbedJob(name="a", input="a.jsonl", output="a.npy", worker=3)  # type: ignore[call-arg]
    EmbedJob(name="a", output="a.npy")  # type: ignore[call-arg]
    EmbedJob(name="a", input="a.jsonl", output="a.npy", workers="many")  # type: ignore[arg-type]
    IngestJob(name="a", input="a.jsonl", output="a.npy")  # type: ignore[call-arg]
    QueryJob(name="a", input="a.jsonl", output="a.jsonl", search="fuzzy")  # type: ignore[arg-type]


async def run_one(path: Path) -> Sequence[int]:
    """A job on the running loop."""
    report = await asyncrun.arun(EmbedJob(name="notes", input=str(path), output="notes.npy"), folder=path.parent)
    shape: tuple[int, ...] = report.array("notes").shape
    return shape


async def embed(texts: Sequence[str]) -> float:
    """An embedder with limits, used as LlamaIndex's."""
    limits, retry = Limits(requests_per_minute=600, concurrency=4), RetryPolicy(attempts=3)
    embedder: BaseEmbedding
    async with OpenAIEmbedding(model="text-embedding-3-small", limits=limits, retry=retry, on_too_long="truncate") as embedder:
        vectors: list[list[float]] = await embedder.aget_text_embedding_batch(list(texts))
        return embedder.similarity(vectors[0], vectors[1], mode=SimilarityMode.DOT_PRODUCT)


def embed_with_a_ledger(texts: Sequence[str]) -> Mapping[int, str]:
    """Texts that fail are named."""
    return {at: failure.reason for at, failure in asyncrun.embed(texts, "local", ledger=".asyncrun").failures.items()}


async def words(question: str) -> str:
    """An answer word by word, with `await` and without."""
    llm, text = OpenAI("gpt-5-mini", timeout=600, max_silence=20), ""
    async for response in await llm.astream_chat([Message("user", question)]):
        text = response.message.content + (response.delta or "")
    for completion in llm.stream_complete(question):
        text += completion.delta or ""
    return text


async def chat(question: str) -> str:
    """A chat model of which nothing is believed that it has not said."""
    async with asyncio.timeout(60), OpenAIChat(model="gpt-5-mini") as llm:
        completion = await llm.complete([Message("user", question)])
    match completion.answer:
        case Answer(text=str(text)):
            return text
        case Declined(reason=reason):
            return f"declined: {reason}"
        case _:
            raise completion.error or ValueError("no text")


async def gather(numbers: Sequence[int]) -> list[int]:
    """Many coroutines with a limit: all results, or each outcome."""

    async def double(number: int) -> int:
        return 2 * number

    results: list[int] = await asyncrun.run_jobs((double(number) for number in numbers), workers=8)
    ended: list[Outcome[int]] = [
        outcome async for outcome in asyncrun.outcomes((double(number) for number in numbers), on_error="collect", timeout=5)
    ]
    return results + [outcome.result() for outcome in ended]


@trace_method("search")
def search(path: Path) -> list[Hit]:
    """A store that is searched without a job."""
    vector = np.array(LocalEmbedding().get_query_embedding("who?"), dtype=np.float32)
    [hits] = SqliteStore(path).search("notes", [SearchRequest("who?", vector, top_k=3)])
    return hits


def count_tokens() -> int:
    """A handler that stops the work."""
    counter = TokenCountingHandler(token_budget=1000)
    manager = CallbackManager([counter])
    try:
        with manager.event(CBEventType.QUERY) as event:
            event.on_end(payload={"answer": "yes"})
    except StopRunError:
        pass
    return counter.total_llm_token_count


async def rehearse() -> list[int]:
    """A fake server in a test."""
    async with FakeServer(quota=Quota(requests=10), latency=0.01) as server:
        async with OpenAIEmbedding(model="any", base_url=server.base_url) as embedder:
            await embedder.aget_text_embedding("one")
        return server.batch_sizes
