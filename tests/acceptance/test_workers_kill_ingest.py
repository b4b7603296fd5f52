"""Worker processes are killed while documents are cut and embedded, or crash over one: the store of a run without workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from tests.acceptance.conftest import PATIENCE, finish, start, summary_of, wait_until
from tests.acceptance.test_workers_kill import DIMENSIONS, KILLS, SEED, children_of, server_that_is_slow_until
from tests.depth import DEEP

DOCUMENTS = 12
PROGRAMS = Path(__file__).parents[1] / "programs"

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked at in /proc")


def write_documents(folder: Path) -> None:
    """Write some documents that fill several groups and rounds."""
    (folder / "docs").mkdir()
    for number in range(DOCUMENTS):
        text = "\n\n".join(f"# Part {part}\n\n" + f"Document {number} says little in part {part}. " * 40 for part in range(50))
        (folder / "docs" / f"{number:02d}.md").write_text(text)


def write_jobs(folder: Path, server: FakeServer, store: str, by: str = "markdown", **executor: object) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "retry": {"attempts": 1000}, "batch": {"max_items": 16}}
    job = {
        **{"name": "fill", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "collection": "kb"},
        **{"store": {"type": "sqlite", "path": store}, "chunk": {"by": by, "size": 2048, "overlap": 0}},
    }
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job], **({"executor": executor} if executor else {})}))


def content(path: Path) -> dict[str, Any]:
    """Return all that a store has of its documents, and the hits of a question."""
    store = SqliteStore(path)
    try:
        found = {each.doc_id: (each.mark, tuple(each.chunks), each.vectors.tobytes()) for _, each in store.documents("kb")}
        [hits] = store.search("kb", [SearchRequest("", vector_of("a question", DIMENSIONS), top_k=20)])
    finally:
        store.close()
    return {**found, "": [(hit.id, hit.score) for hit in hits]}


@pytest.mark.skipif(not DEEP, reason="several runs: ASYNCRUN_TEST_DEEP=1")
def test_killed_workers_leave_the_store_of_a_run_without_them(tmp_path: Path) -> None:
    write_documents(tmp_path)
    released, rng = threading.Event(), random.Random(SEED)
    with server_that_is_slow_until(released) as server:
        write_jobs(tmp_path, server, "killed.db", type="processes", processes=2)
        process = start(tmp_path)
        for number in range(KILLS):
            # The first one while documents are cut, or before; the others while chunks are sent.
            least = 20 * number
            wait_until(lambda least=least: len(server.requests) >= least and bool(children_of(process)), process)
            time.sleep(rng.uniform(0.0, 0.4 if number == 0 else 0.05))
            if victims := children_of(process):
                os.kill(rng.choice(victims), signal.SIGKILL)
        released.set()
        code, told = finish(process)
        assert code == 0, f"{told} (seed {SEED})"
        assert summary_of(told)["lost_workers"] > 0
        sent = len(server.requests)
        # What is in the ledger is what is in the store: a run without workers fills another one without a request.
        write_jobs(tmp_path, server, "local.db")
        code, told = finish(start(tmp_path))
        assert code == 0, told
        assert len(server.requests) == sent
    assert content(tmp_path / "killed.db") == content(tmp_path / "local.db")


@pytest.mark.skipif(not DEEP, reason="several runs: ASYNCRUN_TEST_DEEP=1")
def test_a_document_that_crashes_its_worker_is_one_failed_item(tmp_path: Path) -> None:
    write_documents(tmp_path)
    (tmp_path / "docs" / "05.md").write_text("poison")
    info = tmp_path / "crashing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[asyncrun.chunkers]\ncrashing = crashing_chunker:Crashing\n")
    with FakeServer(dimensions=DIMENSIONS).in_thread() as server:
        write_jobs(tmp_path, server, "index.db", "crashing", type="processes", processes=2)
        told = subprocess.run(
            [sys.executable, "-m", "asyncrun", "run", "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROGRAMS), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert told.returncode == 3, told.stdout + told.stderr
    failed = [line for line in map(json.loads, told.stdout.splitlines()) if line["type"] == "item_failed"]
    assert [(each["id"], each["reason"]) for each in failed] == [("05.md", "worker_lost")]
    assert "segmentation fault (SIGSEGV)" in failed[0]["message"]
    assert set(content(tmp_path / "index.db")) == {"", *(f"{number:02d}.md" for number in range(DOCUMENTS) if number != 5)}
