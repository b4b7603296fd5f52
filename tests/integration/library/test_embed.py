"""Texts embedded from Python: the ledger is a cache, and a text that fails loses no other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncrun
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.errors import AuthError, JobFileError, UsageError
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer


def small(server: FakeServer) -> dict[str, Any]:
    return {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "sk-1"}


def test_each_text_has_its_vector_in_its_place(server: FakeServer) -> None:
    texts = [f"text {number % 7}" for number in range(20)]
    result = asyncrun.embed(texts, small(server))
    assert (result.vectors.shape, result.vectors.dtype, result.failures) == ((20, 8), np.float32, {})
    assert all(np.array_equal(result.vectors[at], result.vectors[at % 7]) for at in range(20))
    assert sorted(set(server.sent_texts)) == sorted({*texts} | set(server.sent_texts[:1]))


def test_a_text_that_fails_is_named_and_the_others_have_vectors(server: FakeServer) -> None:
    result = asyncrun.embed(["one", "  ", "three"], small(server))
    assert {at: str(failure.reason) for at, failure in result.failures.items()} == {1: "empty"}
    assert np.isnan(result.vectors).any(axis=1).tolist() == [False, True, False]


def test_texts_that_all_fail_are_failures_and_no_error(server: FakeServer) -> None:
    result = asyncrun.embed(["", " "], small(server))
    assert (sorted(result.failures), result.vectors.shape) == ([0, 1], (2, 0))


def test_what_is_no_text_fails_and_the_others_have_vectors(server: FakeServer) -> None:
    endless: list[Any] = []
    endless.append(endless)
    texts: list[Any] = ["one", "half \ud83d", b"bytes", object(), endless, "two"]
    result = asyncrun.embed(texts, small(server))
    assert {at: failure.reason for at, failure in result.failures.items()} == {1: "bad_text", **dict.fromkeys((2, 3, 4), "bad_record")}
    assert np.isnan(result.vectors[:, 0]).tolist() == [False, True, True, True, True, False]


def test_one_text_is_not_taken_for_its_letters() -> None:
    with pytest.raises(UsageError, match="one text stands where a list of texts is expected"):
        asyncrun.embed("hello")


def test_nothing_has_no_vectors(server: FakeServer) -> None:
    assert asyncrun.embed([], small(server)).vectors.shape == (0, 0)


def test_with_a_ledger_no_text_is_sent_twice(server: FakeServer, tmp_path: Path) -> None:
    first = asyncrun.embed(["one", "two"], small(server), ledger=tmp_path / ".asyncrun")
    sent = len(server.requests)
    again = asyncrun.embed(["two", "one"], small(server), ledger=tmp_path / ".asyncrun")
    assert (len(server.requests), again.cached, again.usage.requests) == (sent, 2, 0)
    assert np.array_equal(again.vectors, first.vectors[::-1])


def test_a_damaged_ledger_is_mended_and_told(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[logging.LogRecord] = []
    listener = logging.Handler(logging.WARNING)
    monkeypatch.setattr(listener, "emit", told.append)
    monkeypatch.setattr(logging.getLogger("asyncrun"), "handlers", [listener])
    (tmp_path / "ledger.db").write_bytes(b"garbage" * 1000)
    results = [asyncrun.embed(["one", "two"], small(server), ledger=tmp_path) for _ in range(2)]
    assert [result.cached for result in results] == [0, 2]
    assert (tmp_path / "ledger.db.damaged").read_bytes() == b"garbage" * 1000
    assert [record.getMessage().partition(":")[0] for record in told] == ["the ledger was damaged and is set aside as ledger.db.damaged"]


def test_without_one_nothing_is_left_behind(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asyncrun.embed(["one"], small(server))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_key_is_raised(server: FakeServer) -> None:
    server.faults = [error(401, "wrong key", times=None)]
    with pytest.raises(AuthError, match="wrong key"):
        asyncrun.embed(["one"], small(server))


def test_an_embedder_that_cannot_be_is_told_in_the_words_of_a_job_file() -> None:
    with pytest.raises(JobFileError, match="did you mean 'local'"):
        asyncrun.embed(["one"], "locale")


def test_it_is_awaited_inside_of_a_loop_or_called(server: FakeServer) -> None:
    async def cell() -> bool:
        awaited = await asyncrun.aembed_many(["one"], small(server))
        return np.array_equal(awaited.vectors, asyncrun.embed(["one"], small(server)).vectors)

    assert asyncio.run(cell())


def test_handlers_are_told_of_its_events(server: FakeServer) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    asyncrun.embed(["one"], small(server), callback_manager=CallbackManager([debug]))
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 1
