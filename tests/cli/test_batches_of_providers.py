"""The way of a job in batches on the command line, at each provider: it waits, is listed, collected, and cleaned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP, cases

from .conftest import Command

MODELS = {
    "voyage": "voyage-3.5",
    "openai": "text-embedding-3-small",
    "azure": "a-deployment",
    "mistral": "mistral-embed",
    "gemini": "gemini-embedding-001",
}
EMBEDDERS = cases(MODELS, "voyage")
ROWS = 12


@pytest.fixture
def servers() -> BatchServers:
    return BatchServers(seconds=600.0)


@pytest.fixture
def server(servers: BatchServers) -> Iterator[FakeServer]:
    with FakeServer(batches=servers).in_thread() as running:
        yield running


def write(folder: Path, server: FakeServer, provider: str, **more: object) -> None:
    model = {"provider": provider, "model": MODELS[provider], "base_url": server.vendor_url(provider), "api_key": "${KEY_OF_TESTS}"}
    embedder = {**model, "delivery": "batch", "price_per_million_tokens": 0.02}
    items = [f"text {number}" for number in range(ROWS)]
    job = {"name": "notes", "kind": "embed", "input": {"items": items}, "output": "out.jsonl", "embedder": embedder, **more}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


@pytest.mark.parametrize("provider", EMBEDDERS)
def test_it_waits_is_listed_collected_and_cleaned(
    asyncrun: Command, server: FakeServer, servers: BatchServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", "sk-of-the-tests")
    write(tmp_path, server, provider)
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    waits = asyncrun("run", "-q", "--max-runtime", "1s")
    assert (waits.code, waits.out, waits.err) == (75, "", ""), "cron mails what it prints"
    [waiting] = asyncrun("batches", "--json").documents[0]["batches"]
    assert (waiting["job"], waiting["provider"], waiting["state"]) == ("notes", provider, "waiting")
    assert "collected, and not sent again" in asyncrun("plan").out
    servers.advance(3600.0)
    summary = asyncrun("run", "--json").documents[-1]
    assert (summary["exit_code"], summary["requests"]) == (0, plan["requests"])
    assert plan["cost"] == pytest.approx(summary["cost"], rel=0.35), "tokens are an estimate"
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ROWS
    told = asyncrun("batches", "--json").documents[0]
    assert (told["batches"], told["collected"], told["others"]) == ([], 1, {})
    assert "of 1 collected batch at providers" in asyncrun("clean").out
    assert asyncrun("batches", "--json").documents[0]["collected"] == 0
    assert servers.books.paid_twice() == []


def test_a_deadline_that_is_too_near_sends_all_online(
    asyncrun: Command, server: FakeServer, servers: BatchServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", "sk-of-the-tests")
    write(tmp_path, server, "openai", deadline="5m")
    assert "too little time is left for a batch" in asyncrun("plan").out
    assert asyncrun("run", "-q").code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ROWS
    assert asyncrun("batches").out == "no batches lie at a provider\n"


ANSWERS = cases({"anthropic": "claude-haiku-4-5", "openai": "gpt-4o-mini", "gemini": "gemini-2.5-flash"})


@pytest.mark.skipif(not DEEP, reason="takes seconds: ASYNCRUN_TEST_DEEP=1")
@pytest.mark.parametrize("provider", ANSWERS)
def test_answers_wait_are_listed_collected_and_cleaned(
    asyncrun: Command, server: FakeServer, servers: BatchServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", "sk-of-the-tests")
    url = {"base_url": server.vendor_url(provider), "api_key": "${KEY_OF_TESTS}"}
    price = {"price_per_million_tokens": {"input": 1.0, "output": 5.0}, "max_output_tokens": 50}
    llm = {"provider": provider, "model": ANSWERS[provider], "delivery": "batch", **url, **price}
    items = [f"text {number}" for number in range(ROWS)]
    job = {"name": "notes", "kind": "generate", "input": {"items": items}, "output": "out.jsonl", "llm": llm, "prompt": "Say more: {text}"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["delivery"], plan["cost"]) == ("batch", pytest.approx(plan["online"]["cost"] / 2))
    waits = asyncrun("run", "-q", "--max-runtime", "1s")
    assert (waits.code, waits.out, waits.err) == (75, "", "")
    [waiting] = asyncrun("batches", "--json").documents[0]["batches"]
    assert (waiting["job"], waiting["provider"], waiting["state"]) == ("notes", provider, "waiting")
    servers.advance(3600.0)
    assert asyncrun("run", "-q").code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ROWS
    assert "of 1 collected batch at providers" in asyncrun("clean").out
    assert asyncrun("batches", "--json").documents[0]["collected"] == 0
    assert servers.books.paid_twice() == []


@pytest.mark.skipif(not DEEP, reason="takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_what_is_cancelled_is_collected_as_far_as_it_was_done_and_the_rest_sent_again(
    asyncrun: Command, server: FakeServer, servers: BatchServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", "sk-of-the-tests")
    write(tmp_path, server, "openai", stragglers="online")
    assert asyncrun("run", "-q", "--max-runtime", "1s").code == 75
    assert asyncrun("batches", "cancel", "--all").code == 0
    servers.advance(1200.0)
    assert asyncrun("run", "-q").code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ROWS
    assert servers.books.paid_twice() == []
