"""Tries peers of asyncrun on one bulk embedding, in front of a server that fails as it is told, and prints a table.

    python tests/benchmarks/peers/trials.py VENVS [PEER...]

VENVS is a folder with one virtual environment for each peer (see docs/comparison.md for the packages). A trial is 300 texts,
ten a request where that can be set, the peer's own settings otherwise: undisturbed; one text that the server refuses; three answers of 429
with `Retry-After: 2`; kill -9 when the server has got 100 texts, and the same program again. Curator, which has no embeddings, asks a chat
model about each text.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asyncrun.testing import FakeServer, SeenRequest, fault
from asyncrun.testing.faults import error

HERE = Path(__file__).parent
TEXTS = 300
PATIENCE = 180


def poisoned(request: SeenRequest) -> bool:
    """Say whether the text that is refused is in the request."""
    return any("POISON" in text for text in [*request.texts, *request.prompts])


def start(peer: str, venvs: Path, base_url: str, texts: Path, folder: Path) -> subprocess.Popen[str]:
    """Start the program of a peer in a process group of its own."""
    python = sys.executable if peer == "asyncrun" else str(venvs / peer / "bin" / "python")
    quiet = {"DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "DAFT_ANALYTICS_ENABLED": "0", "TELEMETRY_ENABLED": "false"}
    environ = {**os.environ, "OPENAI_API_KEY": "k", **quiet}
    command = [python, str(HERE / f"run_{peer}.py"), base_url, str(texts), str(folder)]
    log = (folder / "log").open("a")
    return subprocess.Popen(command, env=environ, stdout=log, stderr=log, text=True, start_new_session=True, cwd=folder)


def end(process: subprocess.Popen[str], folder: Path) -> str:
    """Wait for the end and say it: the exit code, and the rows that there are."""
    try:
        code = str(process.wait(PATIENCE))
    except subprocess.TimeoutExpired:
        kill(process)
        code = f"none within {PATIENCE} s"
    rows = [line.split()[1] for line in (folder / "log").read_text(errors="replace").splitlines() if line.startswith("rows ")]
    return f"exit {code}, {rows[-1] if rows else 0} rows"


def kill(process: subprocess.Popen[str]) -> None:
    """End the program and what it has started, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def texts_got(server: FakeServer) -> int:
    """Return how many texts the server was sent, refused ones included."""
    return sum(len(request.texts) + len(request.prompts) for request in server.requests)


def try_one(peer: str, venvs: Path, trial: str) -> dict[str, object]:
    """Run one trial of one peer."""
    refused = error(400, "this input is not allowed", when=poisoned, times=None)
    faults = {"poisoned": [refused], "throttled": [fault("throttled", times=3, after=5)]}
    with tempfile.TemporaryDirectory() as name, FakeServer(latency=0.05, faults=faults.get(trial, [])).in_thread() as server:
        folder = Path(name)
        rows = [{"id": str(n), "text": f"text number {n}" + (" POISON" if n == 150 and trial == "poisoned" else "")} for n in range(TEXTS)]
        texts = folder / "texts.jsonl"
        texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        before = time.perf_counter()
        process = start(peer, venvs, server.base_url, texts, folder)
        if trial == "killed":
            while texts_got(server) < 100 and process.poll() is None and time.perf_counter() - before < PATIENCE:
                time.sleep(0.01)
            kill(process)
            (folder / "log").write_text("")
            process = start(peer, venvs, server.base_url, texts, folder)
        ended = end(process, folder)
        last = (folder / "log").read_text(errors="replace").strip().splitlines()[-3:]
        return {
            "peer": peer,
            "trial": trial,
            "end": ended,
            "texts": texts_got(server),
            "requests": len(server.requests),
            "s": round(time.perf_counter() - before, 1),
            "log": last,
        }


def main() -> None:
    """Run all trials of the peers that are named, or of all."""
    venvs = Path(sys.argv[1])
    for peer in sys.argv[2:] or ["asyncrun", "llm", "llamaindex", "langchain", "cocoindex", "daft", "ray", "curator"]:
        for trial in ("undisturbed", "poisoned", "throttled", "killed"):
            print(json.dumps(try_one(peer, venvs, trial)), flush=True)


if __name__ == "__main__":
    main()
