"""Runs a job in batches against a local server and puts what is shown into docs/batches.md; the server's name stands as OpenAI's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from readme_example import put

from asyncrun.testing import BatchServers, FakeServer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "batches.md"
WIDTH = "120"
TEXT = "Note {} tells of rivers, bridges and the towns that grew between them."


def write(folder: Path, server: FakeServer) -> None:
    """Write the job file of the page, for the server, and 40,000 rows."""
    rows = (json.dumps({"id": f"n{number}", "text": TEXT.format(number)}) for number in range(40_000))
    (folder / "notes.jsonl").write_text("\n".join(rows) + "\n")
    embedder = {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "base_url": server.vendor_url("openai"),
        "price_per_million_tokens": 0.02,
        "limits": {"tokens_per_minute": 1_000_000},
        "delivery": "batch",
    }
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "embedder": "overnight", "output": "vectors.npy"}
    more = {"max_runtime": "20s", "deadline": "06:00", "stragglers": "online"}
    (folder / "jobs.yaml").write_text(json.dumps({"embedders": {"overnight": embedder}, "jobs": [job | more]}))


def shown(folder: Path, server: FakeServer, *words: str) -> str:
    """Run a command and return it with what it prints, as at OpenAI."""
    environ = {**os.environ, "COLUMNS": WIDTH}
    ran = subprocess.run([sys.executable, "-m", "asyncrun", *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    host = server.base_url.removeprefix("http://").partition("/")[0]
    return f"$ asyncrun {' '.join(words)}\n{ran.stdout}".replace(host, "api.openai.com")


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as name, FakeServer(batches=BatchServers(seconds=120.0)).in_thread() as server:
        folder = Path(name)
        write(folder, server)
        blocks = {"plan": shown(folder, server, "plan"), "waits": shown(folder, server, "run"), "batches": shown(folder, server, "batches")}
    page = PAGE.read_text(encoding="utf-8")
    for marker, block in blocks.items():
        page = put(page, marker, block)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
