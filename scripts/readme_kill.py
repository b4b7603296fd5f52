"""Kills a run, runs the same command again, and puts what a terminal shows of it into the README."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from asyncrun.testing.server import FakeServer

ROOT = Path(__file__).resolve().parents[1]
ITEMS, BATCH, IN_FLIGHT = 1000, 10, 4
KILL_AFTER = 40
"""Requests that the server has got when the run is killed."""


def write_job(folder: Path, base_url: str) -> None:
    """Write the job and its input."""
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": f"n{n}", "text": f"note {n}"}) + "\n" for n in range(ITEMS)))
    embedder = {"provider": "openai", "model": "m", "base_url": base_url, "batch": {"max_items": BATCH}}
    embedder |= {"limits": {"concurrency": IN_FLIGHT}, "price_per_million_tokens": 0.02}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "vectors.jsonl", "embedder": embedder}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a folder."""
    environ = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "asyncrun", *words]
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(folder: Path) -> list[str]:
    """Return the table of `asyncrun plan`, without the notes below it."""
    out, _ = start(folder, "plan").communicate()
    return out.splitlines()[:2]


def last_line(folder: Path, *words: str) -> str:
    """Return the last line of what a command prints on standard output."""
    process = start(folder, *words)
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit {process.returncode}: {err}")
    return out.splitlines()[-1]


def transcript(folder: Path) -> str:
    """Kill a run and finish it, run the same job undisturbed elsewhere, and return what a terminal shows of it."""
    (folder / "undisturbed").mkdir()
    with FakeServer(latency=0.05).in_thread() as server:
        write_job(folder, server.base_url)
        write_job(folder / "undisturbed", server.base_url)
        last_line(folder / "undisturbed", "run")
        server.requests.clear()
        lines = ["$ asyncrun plan", *table(folder), f"$ asyncrun run  # and from elsewhere, after {KILL_AFTER} requests: kill -9"]
        process = start(folder, "run")
        while len(server.requests) < KILL_AFTER and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        lines += ["Killed" if process.returncode == -signal.SIGKILL else f"exit {process.returncode}"]
        seen = subprocess.run(["ls"], cwd=folder, capture_output=True, text=True, check=True).stdout.split()
        lines += ["$ ls", "  ".join(seen)]
        lines += ["$ asyncrun plan", *table(folder), "$ asyncrun run | tail -n 1", last_line(folder, "run")]
        sent = Counter(server.sent_texts)
        lines += ["$ asyncrun run | tail -n 1", last_line(folder, "run")]
    same = (folder / "vectors.jsonl").read_bytes() == (folder / "undisturbed" / "vectors.jsonl").read_bytes()
    lines += ["$ cmp vectors.jsonl undisturbed/vectors.jsonl && echo the same bytes", "the same bytes" if same else "different"]
    again = sum(sent.values()) - len(sent)
    lines.append(f"# the server got {sum(sent.values()):,} texts for {len(sent):,} items: {again} twice, which were in flight")
    return "\n".join(lines)


def main() -> None:
    """Write the README."""
    spec = importlib.util.spec_from_file_location("readme_example", ROOT / "scripts" / "readme_example.py")
    assert spec is not None and spec.loader is not None  # noqa: S101
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    readme = ROOT / "README.md"
    with tempfile.TemporaryDirectory() as name:
        block = transcript(Path(name))
    readme.write_text(example.put(readme.read_text(encoding="utf-8"), "kill", block), encoding="utf-8")


if __name__ == "__main__":
    main()
