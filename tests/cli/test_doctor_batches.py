"""`asyncrun doctor` looks whether a provider's batch endpoint answers, where a job asks by batches."""

from __future__ import annotations

import json
from pathlib import Path

from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer

from .conftest import Command


def write(folder: Path, server: FakeServer, delivery: str = "batch") -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "delivery": delivery}
    job = {"name": "notes", "kind": "embed", "input": {"items": ["x"]}, "output": "o.jsonl", "embedder": embedder}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def test_an_endpoint_that_lists_batches_is_well_and_nothing_is_submitted(asyncrun: Command, tmp_path: Path) -> None:
    batches = BatchServers()
    with FakeServer(batches=batches).in_thread() as server:
        write(tmp_path, server)
        answer = asyncrun("doctor")
    assert answer.code == 0
    assert "batches openai/m" in answer.out
    assert "its batches can be listed" in answer.out
    assert not batches.books.created


def test_a_server_without_batches_is_named(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server)
    answer = asyncrun("doctor")
    assert answer.code == 1
    assert "batches openai/m" in answer.out


def test_of_a_job_that_asks_online_nobody_looks(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path, server, "online")
    answer = asyncrun("doctor")
    assert answer.code == 0
    assert "batches openai" not in answer.out
