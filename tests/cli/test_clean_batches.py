"""`asyncrun clean` removes our files of collected batches at providers, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncrun.ledger.provider_batches import RecordState, all_provider_batches
from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer

from .conftest import Command
from .test_batches import OTHER_TAG, TAG, endpoint_of, record, submit, write


@pytest.fixture
def servers() -> BatchServers:
    return BatchServers(seconds=60.0)


@pytest.fixture
def server(servers: BatchServers) -> Iterator[FakeServer]:
    with FakeServer(batches=servers).in_thread() as running:
        yield running


def files_of(server: FakeServer, batch_id: str) -> int:
    """Return how many files of a batch the provider still has."""

    async def ask() -> int:
        endpoint = endpoint_of(server)
        try:
            batch = await endpoint.get(batch_id)
            assert batch is not None
            found = [await endpoint.exchange.find("GET", endpoint.at(f"/files/{file}")) for file in batch.files]
            return sum(file is not None for file in found)
        finally:
            await endpoint.aclose()

    return asyncio.run(ask())


def known(folder: Path) -> dict[str, str | None]:
    return {each.tag: each.batch for each in all_provider_batches(folder / ".asyncrun" / "ledger.db")}


def test_files_of_what_is_collected_go_once_and_those_of_others_stay(
    asyncrun: Command, server: FakeServer, servers: BatchServers, tmp_path: Path
) -> None:
    write(tmp_path, server)
    ours, waiting, theirs = submit(server, TAG), submit(server, OTHER_TAG), submit(server, None)
    servers.advance(3600.0)
    record(tmp_path, server, ours, state=RecordState.COLLECTED)
    record(tmp_path, server, waiting, OTHER_TAG)
    assert asyncrun("clean", "--dry-run").out == "would remove the files of 1 collected batch at providers\n"
    assert files_of(server, ours.id) == 2
    assert "files of 1 collected batch may still be there" in asyncrun("batches").out
    assert "removed 2 files of 1 collected batch at providers" in asyncrun("clean").out
    assert [files_of(server, batch.id) for batch in (ours, waiting, theirs)] == [0, 2, 2]
    # What has failed in it stays known, and nothing is removed twice.
    assert known(tmp_path) == {TAG: None, OTHER_TAG: waiting.id}
    assert asyncrun("clean", "--json").documents[0]["batches"] == {"batches": 0, "files": 0, "kept": []}


def test_what_is_gone_there_already_is_no_error(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, None, batch="batch_gone", file="file_gone", state=RecordState.COLLECTED)
    assert asyncrun("clean").code == 0
    assert known(tmp_path) == {TAG: None}


def test_without_the_key_they_stay_and_it_is_said(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server, provider="ollama", delivery="online")
    record(tmp_path, server, submit(server, TAG), host="api.openai.com", state=RecordState.COLLECTED)
    answer = asyncrun("clean")
    assert answer.code == 0
    assert "files at a provider stay, of 1 batch: no key for api.openai.com\n" in answer.out
    assert known(tmp_path)[TAG] is not None


def test_one_that_was_given_up_and_still_goes_on_stays(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    record(tmp_path, server, submit(server, TAG), state=RecordState.GIVEN_UP)
    assert "files at a provider stay, of 1 batch: openai still works on it" in asyncrun("clean").out
