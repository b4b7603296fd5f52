"""One embedder, used by several event loops and threads at once: it works, its limits hold for all of them together, and nothing hangs."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.embedders import LocalEmbedding, OpenAIEmbedding
from asyncrun.errors import AuthError
from asyncrun.llms import OpenAI
from asyncrun.packing import BatchLimits
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

TEXTS = [f"text {number}" for number in range(12)]
MOST_SECONDS = 60
"""A thread that takes longer hangs."""


@pytest.fixture
def server():
    with FakeServer(key="k").in_thread() as server:
        yield server


@pytest.fixture
def embedder(server):
    # One text a request, and fewer requests at once than there are loops.
    return OpenAIEmbedding("m", base_url=server.base_url, api_key="k", batch=BatchLimits(max_items=1), limits=Limits(concurrency=2))


async def embed_and_close(embedder, texts=TEXTS):
    try:
        return await embedder.aget_text_embedding_batch(texts)
    finally:
        await embedder.aclose()


def in_threads(*calls):
    """Return what calls return that are made at once, each in a thread of its own."""
    results = {}
    threads = [threading.Thread(target=lambda at=at, call=call: results.update({at: call()}), daemon=True) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(MOST_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    return [results[at] for at in range(len(calls))]


def is_right(vectors, texts=TEXTS):
    return vectors == [pytest.approx(vector_of(text, 8).tolist(), abs=1e-6) for text in texts]


def test_threads_with_a_loop_each_and_threads_with_calls_that_block(server, embedder):
    found = in_threads(*[lambda: asyncio.run(embed_and_close(embedder))] * 2, *[lambda: embedder.get_text_embedding_batch(TEXTS)] * 2)
    assert all(map(is_right, found))
    assert len(server.sent_texts) == 4 * len(TEXTS)
    assert embedder.endpoint.limiter.in_flight == 0


def test_tasks_of_a_loop_while_a_thread_of_it_calls(embedder):
    async def main():
        tasks = [asyncio.create_task(embedder.aget_text_embedding(text)) for text in TEXTS]
        called = await asyncio.to_thread(embedder.get_text_embedding_batch, TEXTS)
        awaited = await asyncio.gather(*tasks)
        await embedder.aclose()
        return called, awaited

    [(called, awaited)] = in_threads(lambda: asyncio.run(main()))
    assert is_right(called)
    assert is_right(awaited)


def test_a_call_that_blocks_the_loop_whose_requests_have_all_slots(embedder):
    async def main():
        tasks = [asyncio.create_task(embedder.aget_text_embedding(text)) for text in TEXTS]
        while embedder.endpoint.limiter.in_flight < 2:
            await asyncio.sleep(0)
        called = embedder.get_text_embedding("text 0")
        awaited = await asyncio.gather(*tasks)
        await embedder.aclose()
        return called, awaited

    [(called, awaited)] = in_threads(lambda: asyncio.run(main()))
    assert is_right([called], ["text 0"])
    assert is_right(awaited)


def test_a_loop_that_ended_in_the_middle_of_its_requests(embedder):
    async def leave():
        tasks = [asyncio.create_task(embedder.aget_text_embedding(text)) for text in TEXTS]
        while not embedder.endpoint.limiter.in_flight:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await embedder.aclose()

    in_threads(lambda: asyncio.run(leave()))
    [found] = in_threads(lambda: asyncio.run(embed_and_close(embedder)))
    assert is_right(found)


def test_a_key_that_is_refused_is_told_in_every_loop(server):
    embedder = OpenAIEmbedding("m", base_url=server.base_url, api_key="wrong", batch=BatchLimits(max_items=1))

    def told():
        with pytest.raises(AuthError):
            asyncio.run(embed_and_close(embedder))
        return True

    assert in_threads(*[told] * 4) == [True] * 4


def test_after_its_end_it_is_used_by_another_loop_while_the_first_one_goes_on(embedder):
    async def closing():
        for _ in range(5):
            assert is_right(await embed_and_close(embedder, TEXTS[:2]), TEXTS[:2])
        return True

    assert in_threads(*[lambda: asyncio.run(closing())] * 3) == [True] * 3


def test_a_chat_model_is_used_by_several_loops_at_once(server):
    llm = OpenAI("m", api_base=server.base_url, api_key="k", limits=Limits(concurrency=1))
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: llm.complete("Why?").text, range(12)))
    assert len(set(answers)) == 1


def test_the_embedder_without_a_server_is_used_by_several_loops_at_once():
    embedder = LocalEmbedding()
    one, other = in_threads(*[lambda: asyncio.run(embed_and_close(embedder, TEXTS[:3]))] * 2)
    assert one == other
