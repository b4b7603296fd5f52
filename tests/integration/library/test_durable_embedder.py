"""An embedder with a ledger: what is finished is not sent again, whoever asks for it, and what others are sending is waited for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from asyncrun.app.durable_embedder import DurableEmbedder
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.errors import AuthError, ItemError
from asyncrun.records import InputType
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer


def small(server: FakeServer, workers: int = 4, **rest: Any) -> OpenAIEmbedding:
    embedder = OpenAIEmbedding(model="m", base_url=server.base_url, api_key="sk-1", **rest)
    embedder.workers = workers
    return embedder


TEXTS = [f"text {number % 7}" for number in range(20)]


@pytest.mark.parametrize("kept", [False, True])
def test_equal_texts_are_sent_once_and_have_equal_vectors(server: FakeServer, tmp_path: Path, kept: bool) -> None:
    embedder = DurableEmbedder(small(server), tmp_path / "state" if kept else None)
    vectors = embedder.embed(TEXTS)
    assert [vectors[at] == vectors[at % 7] for at in range(20)] == [True] * 20
    assert sorted(server.sent_texts) == sorted(set(TEXTS))
    assert embedder.embed([]) == []
    assert (tmp_path / "state").exists() is kept
    embedder.close()


def test_what_is_finished_is_not_sent_again_by_another_one(server: FakeServer, tmp_path: Path) -> None:
    first = DurableEmbedder(small(server), tmp_path)
    vectors = first.embed(["one", "two"])
    second = DurableEmbedder(small(server), tmp_path)
    assert second.embed(["two", "one"]) == vectors[::-1]
    first.close()
    assert first.embed(["one"]) == vectors[:1]
    assert sorted(server.sent_texts) == ["one", "two"]
    first.close()
    second.close()


def test_a_question_is_kept_in_its_own_space(server: FakeServer, tmp_path: Path) -> None:
    embedder = DurableEmbedder(small(server, query_prefix="query: "), tmp_path)
    for _ in range(2):
        embedder.embed(["one"])
        embedder.embed(["one"], InputType.QUERY)
    assert server.sent_texts == ["one", "query: one"]
    embedder.close()


def test_batches_are_full_and_run_at_once(server: FakeServer, tmp_path: Path) -> None:
    server.latency = 0.05
    embedder = DurableEmbedder(small(server, embed_batch_size=2, workers=4), tmp_path)
    embedder.embed([str(number) for number in range(16)])
    assert server.batch_sizes == [2] * 8
    assert server.most_in_flight > 1
    embedder.close()


def test_a_text_that_fails_is_named_and_the_others_are_kept(server: FakeServer, tmp_path: Path) -> None:
    embedder = DurableEmbedder(small(server), tmp_path)
    with pytest.raises(ItemError, match="text 1"):
        embedder.embed(["one", "  ", "three"])
    embedder.embed(["three", "one"])
    assert sorted(server.sent_texts) == ["one", "three"]
    embedder.close()


def test_what_was_answered_before_an_error_is_kept(server: FakeServer, tmp_path: Path) -> None:
    embedder = DurableEmbedder(small(server, embed_batch_size=1, workers=1), tmp_path)
    server.faults = [error(401, "wrong key", when=lambda request: "three" in request.texts, times=1)]
    with pytest.raises(AuthError, match="wrong key"):
        embedder.embed(["one", "two", "three", "four"])
    assert server.sent_texts == ["one", "two", "three"]
    assert len(embedder.embed(["one", "two", "three", "four"])) == 4
    assert server.sent_texts == ["one", "two", "three", "three", "four"]
    embedder.close()


def test_what_another_thread_sends_is_waited_for(server: FakeServer, tmp_path: Path) -> None:
    server.latency = 0.2
    results: list[list[list[float]]] = []
    embedders = [DurableEmbedder(small(server), tmp_path) for _ in range(3)]
    threads = [threading.Thread(target=lambda one=one: results.append(one.embed(["one", "two"]))) for one in embedders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [results[0]] * 3
    assert sorted(server.sent_texts) == ["one", "two"]
    for one in embedders:
        one.close()


@pytest.mark.asyncio
async def test_calls_of_one_loop_share_what_is_under_way_and_what_fails(tmp_path: Path) -> None:
    async with FakeServer(latency=0.1, max_input_tokens=2) as server:
        embedder = DurableEmbedder(small(server), tmp_path)
        calls = [embedder.aembed(["one", "two"]) for _ in range(3)] + [embedder.aembed(["much too long a text"]) for _ in range(2)]
        one, two, three, *failed = await asyncio.gather(*calls, return_exceptions=True)
        assert one == two == three
        assert [type(raised) for raised in failed] == [ItemError, ItemError]
        assert sorted(server.sent_texts) == ["much too long a text", "one", "two"]
        await embedder.aclose()
