"""A run sent to Phoenix, and read back from it: a server of its own, that knows nothing of asyncrun."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.needs("phoenix", "otel")

PATIENCE = 60
"""Seconds in which Phoenix has to be there, and to show what it was sent."""


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[httpx.Client]:
    command = shutil.which("phoenix")
    assert command, "the command phoenix of the package arize-phoenix is not in PATH"
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as grpc:
        ports = {"PHOENIX_PORT": web.getsockname()[1], "PHOENIX_GRPC_PORT": grpc.getsockname()[1]}
    environ = {
        **{name: str(port) for name, port in ports.items()},
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_WORKING_DIR": str(tmp_path),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with (
        (tmp_path / "phoenix.log").open("wb") as log,
        subprocess.Popen([command, "serve"], env={**os.environ, **environ}, stdout=log, stderr=log) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{ports['PHOENIX_PORT']}", trust_env=False) as client,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not is_there(client):
                assert server.poll() is None, (tmp_path / "phoenix.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "phoenix.log").read_text()
                time.sleep(0.1)
            yield client
        finally:
            server.terminate()


def is_there(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def spans_of(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get("/v1/projects/asyncrun/spans", params={"limit": 1000})
    return list(answer.json()["data"]) if answer.is_success else []


def names_above(span: dict[str, Any], spans: list[dict[str, Any]]) -> list[str]:
    by_id = {span["context"]["span_id"]: span for span in spans}
    names = []
    while span["parent_id"] is not None:
        span = by_id[span["parent_id"]]
        names.append(span["name"])
    return names


def test_phoenix_shows_a_run_as_embeddings_and_retrieval(phoenix: httpx.Client, tmp_path: Path) -> None:
    ingest = {"name": "notes", "kind": "ingest", "input": {"items": ["the first note", "the second note"]}, "store": "index"}
    ask = {"name": "ask", "kind": "query", "needs": ["notes"], "input": {"items": ["which one?"]}, "store": "index", "output": "out.jsonl"}
    jobs = [{**ingest, "collection": "notes"}, {**ask, "collection": "notes"}]
    (tmp_path / "jobs.yaml").write_text(json.dumps({"stores": {"index": {"type": "sqlite", "path": "index.db"}}, "jobs": jobs}))
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": str(phoenix.base_url)}
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml", "--progress", "never"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, "not sent on" in ended.stderr) == (0, False), ended.stderr

    deadline = time.monotonic() + PATIENCE
    while not any(span["name"] == "asyncrun run" for span in spans_of(phoenix)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    spans = spans_of(phoenix)
    kinds = {span["name"]: span["span_kind"] for span in spans}
    assert kinds["asyncrun run"] == kinds["async_job notes"] == kinds["async_job ask"] == "CHAIN"
    assert kinds["embeddings all-MiniLM-L6-v2"] == "EMBEDDING"
    assert kinds["retrieval notes"] == "RETRIEVER"
    assert {span["status_code"] for span in spans} == {"OK"}
    [retrieval] = [span for span in spans if span["span_kind"] == "RETRIEVER"]
    assert names_above(retrieval, spans)[-2:] == ["async_job ask", "asyncrun run"]
    embeddings = [span["attributes"] for span in spans if span["span_kind"] == "EMBEDDING"]
    assert {attributes["embedding.model_name"] for attributes in embeddings} == {"all-MiniLM-L6-v2"}
    assert all(attributes["llm.token_count.prompt"] > 0 for attributes in embeddings)
