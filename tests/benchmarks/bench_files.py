"""What small files cost beside the same rows in one file: `python tests/benchmarks/bench_files.py [FILES]` prints a Markdown table.

Jobs run twice, each time a process of its own; the second run, which has nothing to send, is timed from its start to its end. The two
inputs take turns. A fake server on loopback answers the first run.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from asyncrun.testing.server import FakeServer

ROOT = Path(__file__).resolve().parents[2]
FILES = 4000
ROUNDS = 5
ASYNCRUN = [sys.executable, "-m", "asyncrun"]
INPUTS = {"rows": "rows.jsonl", "files": "notes/*.txt"}
ENDS = {"embed": "output: {name}.jsonl", "ingest": "store: {{type: sqlite, path: {name}.db}}, collection: notes"}


def write_inputs(folder: Path, files: int) -> None:
    """Write as many short texts as files, and as the rows of one file."""
    rng = random.Random(1)
    (folder / "notes").mkdir()
    with (folder / INPUTS["rows"]).open("wb") as rows:
        for number in range(files):
            text = f"Note {number}: " + " ".join(rng.choice(("river", "stone", "cloud", "window", "paper", "house")) for _ in range(12))
            (folder / "notes" / f"{number:05}.txt").write_text(text, encoding="utf-8")
            rows.write(orjson.dumps({"id": f"{number:05}.txt", "text": text}) + b"\n")


def write_job(folder: Path, kind: str, rows: str, base_url: str) -> str:
    """Write the job file of one kind over one input in a folder of its own, and return its name."""
    name = f"{kind}-{rows}"
    ends = ENDS[kind].format(name=name)
    lines = [
        f"embedders: {{fake: {{provider: openai, model: fake, base_url: '{base_url}', api_key: ''}}}}",
        f"jobs: [{{name: {name}, kind: {kind}, input: '{INPUTS[rows]}', embedder: fake, {ends}}}]",
    ]
    (folder / f"{name}.yaml").write_text("\n".join(lines), encoding="utf-8")
    return f"{name}.yaml"


def seconds(job_file: str, folder: Path, environ: dict[str, str]) -> float:
    """Return how long a run takes, wall clock."""
    began = time.perf_counter()
    words = [*ASYNCRUN, "--state-dir", f".state-{job_file}", "run", "-q", job_file]
    subprocess.run(words, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print how long the second run took, over rows and over files, and the multiple."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    print(f"| {files:,} texts, nothing changed | rows of one file, s | files, s | multiple |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name, FakeServer().in_thread() as server:
        folder = Path(name)
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        write_inputs(folder, files)
        for kind in ENDS:
            jobs = {rows: write_job(folder, kind, rows, server.base_url) for rows in INPUTS}
            for job in jobs.values():
                seconds(job, folder, environ)
            taken = {rows: list[float]() for rows in INPUTS}
            for _ in range(ROUNDS):
                for rows, job in jobs.items():
                    taken[rows].append(seconds(job, folder, environ))
            of_rows, of_files = (statistics.median(taken[rows]) for rows in INPUTS)
            print(f"| {kind} | {of_rows:.2f} | {of_files:.2f} | {of_files / of_rows:.1f} |")


if __name__ == "__main__":
    main()
