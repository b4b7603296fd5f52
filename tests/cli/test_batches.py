"""`asyncrun batches`: what lies at a provider is listed with its job, and its end can be asked for; nothing of others is touched."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchRequest, ProviderBatch
from asyncrun.batches.openai import OpenAIBatches
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.provider_batches import BatchRecord, RecordState, put_provider_batch
from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer

from .conftest import Command

TAG, OTHER_TAG = "a" * 20, "b" * 20
MODEL = "text-embedding-3-small"


@pytest.fixture
def servers() -> BatchServers:
    return BatchServers(seconds=3600.0)


@pytest.fixture
def server(servers: BatchServers) -> Iterator[FakeServer]:
    with FakeServer(batches=servers).in_thread() as running:
        yield running


def write(folder: Path, server: FakeServer, **embedder: object) -> None:
    model = {"provider": "openai", "model": MODEL, "base_url": server.base_url, "delivery": "batch", **embedder}
    job = {"name": "notes", "kind": "embed", "input": {"items": ["x"]}, "output": "o.jsonl", "embedder": model}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def endpoint_of(server: FakeServer) -> OpenAIBatches:
    return OpenAIBatches(model=MODEL, purpose="embeddings", base_url=server.base_url, environ={})


def submit(server: FakeServer, tag: str | None, count: int = 2) -> ProviderBatch:
    """Have a batch lie at the server, of ours or, without a tag, of somebody else."""

    async def send() -> ProviderBatch:
        endpoint = endpoint_of(server)
        body = {"model": MODEL, "input": ["x"]}
        requests = [BatchRequest(f"{tag or 'theirs'}-{number}", body) for number in range(count)]
        try:
            batch = await endpoint.create(requests, await endpoint.upload(requests, tag or "theirs"), tag or "theirs")
            assert isinstance(batch, ProviderBatch)
            return batch
        finally:
            await endpoint.aclose()

    return asyncio.run(send())


def record(folder: Path, server: FakeServer, there: ProviderBatch | None, tag: str = TAG, **changes: object) -> BatchRecord:
    """Have the ledger know a batch."""
    known = BatchRecord(
        tag=tag,
        job="jobs.yaml/notes",
        space="s" * 32,
        generation=0,
        provider="openai",
        host=server.base_url.removeprefix("http://").partition("/")[0],
        model=MODEL,
        purpose="embeddings",
        state=RecordState.SUBMITTED,
        file=there.files[0] if there and there.files else None,
        batch=None if there is None else there.id,
        created=time.time() - 600,
        requests=2,
        tokens=100,
        cost=0.25,
        failures=(),
        keys=b"k" * 32,
    )
    known = replace(known, **changes)  # type: ignore[arg-type]
    (folder / ".asyncrun").mkdir(mode=0o700, exist_ok=True)

    async def put() -> None:
        with closing(Ledger(folder / ".asyncrun" / "ledger.db")) as ledger:
            await put_provider_batch(ledger, known)

    asyncio.run(put())
    return known


def listed(asyncrun: Command, code: int = 0) -> dict[str, object]:
    answer = asyncrun("batches", "list", "--json")
    assert answer.code == code, answer.err
    return dict(answer.documents[0])


def test_what_lies_there_is_listed_with_its_job_its_counts_and_its_price(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert (batch["tag"], batch["job"], batch["provider"], batch["state"]) == (TAG, "notes", "openai", "waiting")
    assert (batch["requests"], batch["cost"], batch["model"]) == (2, 0.25, MODEL)
    shown = asyncrun("batches").out
    assert TAG in shown
    assert "~$0.25" in shown
    assert "10m 0" in shown


def test_nothing_there_is_said(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    assert asyncrun("batches").out == "no batches lie at a provider\n"
    assert not (tmp_path / ".asyncrun").exists()


def test_ours_of_another_ledger_are_named_and_those_of_others_counted(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    submit(server, OTHER_TAG)
    submit(server, None)
    told = listed(asyncrun)
    [batch] = told["batches"]  # type: ignore[misc]
    assert (batch["tag"], batch["job"]) == (OTHER_TAG, None)
    assert list(told["others"].values()) == [1]  # type: ignore[attr-defined]
    assert "(another ledger)" in asyncrun("batches").out


@pytest.mark.parametrize("delivery", ["online", "batch"])
def test_a_job_file_that_has_changed_since_still_finds_them(asyncrun: Command, server: FakeServer, tmp_path: Path, delivery: str) -> None:
    write(tmp_path, server, model="another", delivery=delivery)
    record(tmp_path, server, submit(server, TAG), job="jobs.yaml/gone")
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert (batch["job"], batch["state"]) == ("gone", "waiting")


def test_a_host_that_nobody_is_asked_at_any_more_is_said(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret-of-the-test")
    write(tmp_path, server, provider="ollama", delivery="online")
    record(tmp_path, server, submit(server, TAG), host="proxy.example")
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert batch["state"] == "submitted"
    assert batch["message"] == "nobody in the job file is asked at proxy.example with a key, so its state is not known"


def test_one_that_the_provider_does_not_know_is_said(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, None, batch="batch_nobody_knows")
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert batch["message"] == "openai does not know it: it is of another key, or not kept any more"


def test_one_whose_submission_nobody_has_confirmed_is_looked_for(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    there = submit(server, TAG)
    record(tmp_path, server, None, state=RecordState.UPLOADED)
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert (batch["batch"], batch["state"]) == (there.id, "waiting")


def test_a_refused_key_ends_77_and_shows_what_the_ledger_knows(
    asyncrun: Command, tmp_path: Path, servers: BatchServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeServer(batches=servers, key="the-key-of-the-server").in_thread() as server:
        monkeypatch.setenv("KEY_OF_TESTS", "sk-quite-another-key")
        write(tmp_path, server, api_key="${KEY_OF_TESTS}")
        record(tmp_path, server, None, batch="batch_1")
        answer = asyncrun("batches", "list", "--json")
    assert answer.code == 77
    assert [batch["state"] for batch in answer.documents[0]["batches"]] == ["submitted"]
    assert "answers 401" in answer.err
    assert "sk-quite" not in answer.out + answer.err


def test_a_tag_or_its_beginning_is_cancelled_and_the_record_stays_for_the_next_run(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    answer = asyncrun("batches", "cancel", "aaa")
    assert answer.code == 0
    assert f"{TAG} of notes: cancel" in answer.out
    assert "the next run collects it, and sends the rest again" in answer.out
    [batch] = listed(asyncrun)["batches"]  # type: ignore[misc]
    assert batch["state"] in ("cancelling", "cancelled")


def test_all_are_those_that_the_ledger_knows(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    submit(server, OTHER_TAG)
    assert [batch["tag"] for batch in asyncrun("batches", "cancel", "--all", "--json").documents[0]["batches"]] == [TAG]
    states = {batch["tag"]: batch["state"] for batch in listed(asyncrun)["batches"]}  # type: ignore[attr-defined]
    assert states[OTHER_TAG] == "waiting"
    assert asyncrun("batches", "cancel", OTHER_TAG, "-q").code == 0
    assert asyncrun("batches", "cancel", "--all").out == "no batches to cancel\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "which batches?"),
        (["--all", TAG], "which batches?"),
        (["zzz"], "no batch of ours has the tag 'zzz'"),
        (["a"], "2 batches begin with 'a'"),
    ],
)
def test_a_tag_that_names_none_or_several_ends_2(
    asyncrun: Command, server: FakeServer, tmp_path: Path, words: list[str], told: str
) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    record(tmp_path, server, submit(server, "a" + OTHER_TAG[1:]), tag="a" + OTHER_TAG[1:])
    answer = asyncrun("batches", "cancel", *words)
    assert answer.code == 2
    assert told in answer.err


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["cancel", "--help"]])
def test_help_is_short(asyncrun: Command, words: list[str]) -> None:
    answer = asyncrun("batches", *words)
    assert (answer.code, len(answer.out.splitlines()) <= 30) == (0, True)


def test_a_narrow_terminal_gets_paragraphs(asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    monkeypatch.setenv("COLUMNS", "50")
    shown = asyncrun("batches").out
    assert shown.startswith(f"{TAG}: job notes, at openai, state\n  waiting")
    assert max(map(len, shown.splitlines())) <= 50


def test_batches_are_listed_and_cancelled_when_the_input_is_gone(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG))
    config = json.loads((tmp_path / "jobs.yaml").read_text())
    config["jobs"][0]["input"] = "gone.jsonl"
    (tmp_path / "jobs.yaml").write_text(json.dumps(config))
    told = asyncrun("batches")
    assert (told.code, TAG in told.out) == (0, True), told.err
    assert asyncrun("batches", "cancel", "--all").code == 0
