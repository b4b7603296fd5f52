"""What `plan` says against what `run` does, on the Cranfield collection: requests are exact, tokens within 10 %."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

PAGE = Path(__file__).parents[2] / "docs/plan.md"
JOBS = """
embedders:
  remote: {provider: openai, model: m, base_url: "${SERVER}", price_per_million_tokens: 0.02, batch: {max_items: 96}}
jobs:
  - {name: documents, kind: embed, input: {path: "${CRANFIELD}/docs.jsonl", text: "{title}. {text}"}, embedder: remote,
     output: documents.jsonl}
  - {name: ingest, kind: ingest, needs: [documents], embedder: remote, input: {path: "${CRANFIELD}/docs.jsonl", text: "{title}. {text}"},
     chunk: {by: sentence, size: 128}, store: {path: index.db}, collection: cranfield}
  - {name: queries, kind: query, needs: [ingest], input: "${CRANFIELD}/queries.jsonl", embedder: remote, store: {path: index.db},
     collection: cranfield, output: queries.jsonl}
  - {name: local-queries, kind: embed, input: "${CRANFIELD}/queries.jsonl", output: local.jsonl}
"""


def dearer(document: dict[str, Any]) -> dict[str, Any]:
    """A server whose tokens are shorter than the four bytes of the rule."""
    document["usage"]["prompt_tokens"] = document["usage"]["total_tokens"] = round(document["usage"]["total_tokens"] * 1.3)
    return document


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, FakeServer]]:
    with FakeServer().in_thread() as plain, FakeServer(faults=[Fault(change=dearer, times=None)]).in_thread() as other:
        yield {"four bytes a token": plain, "three bytes a token": other}


def asyncrun(folder: Path, cranfield: Path, server: FakeServer, *arguments: str) -> dict[str, Any]:
    variables = {"CRANFIELD": str(cranfield.resolve()), "SERVER": server.base_url}
    command = [sys.executable, "-m", "asyncrun", *arguments, "--json"]
    ran = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return document


def rows_of(planned: dict[str, Any], ran: dict[str, Any], when: str) -> Iterator[str]:
    did = {job["name"]: job for job in ran["jobs"]}
    for job in planned["jobs"]:
        tokens, used = job["tokens"], did[job["name"]]["tokens"]
        assert job["requests"] == did[job["name"]]["requests"]
        off = f"{tokens / used - 1:+.1%}" if used else "0"
        how = "counted" if job["exact"] else "estimated"
        yield f"| {when} | {job['name']} | {job['requests']} | {did[job['name']]['requests']} | {tokens:,} ({how}) | {used:,} | {off} |"


def test_the_plan_is_what_the_run_does(cranfield: Path, tmp_path: Path, servers: dict[str, FakeServer]) -> None:
    rows: list[str] = []
    for name, server in servers.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "jobs.yaml").write_text(JOBS)
        chosen = ("jobs.yaml", "documents", "ingest", "queries", "local-queries")
        if server is servers["three bytes a token"]:
            # The first items teach how many tokens a byte has in this space.
            asyncrun(folder, cranfield, server, "run", "jobs.yaml", "documents", "--limit", "100")
            chosen = chosen[:4]
        planned = asyncrun(folder, cranfield, server, "plan", *chosen)
        sent = len(server.requests)
        ran = asyncrun(folder, cranfield, server, "run", *chosen)
        assert len(server.requests) - sent == sum(job["requests"] for job in planned["jobs"] if not job["exact"])
        rows += rows_of(planned, ran, name)
        for job in planned["jobs"]:
            used = next(each["tokens"] for each in ran["jobs"] if each["name"] == job["name"])
            assert job["tokens"] == pytest.approx(used, rel=0.1)
    print("\n".join(rows))
    page = PAGE.read_text()
    assert all(row in page for row in rows), "\n".join(rows)
