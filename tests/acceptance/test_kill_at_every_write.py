"""SIGKILL at every single write of the ledger, one run a write: the next run ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from asyncrun.testing.server import FakeServer

ITEMS, BATCH, IN_FLIGHT = 13, 3, 2
RUNS = Path(__file__).resolve().parents[1] / "programs" / "kill_at_writes.py"


def write_job(folder: Path, server: FakeServer) -> None:
    folder.mkdir(parents=True)
    # Texts of its own, so that the server tells the folders apart.
    items = [{"id": str(n), "text": f"{folder.name}: text {n}" if n != 5 else " "} for n in range(ITEMS)]
    embedder = {
        **{"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}},
        **{"limits": {"concurrency": IN_FLIGHT}, "on_empty": "skip"},
    }
    job = {"name": "all", "kind": "embed", "input": {"items": items}, "output": "out.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def rows(folder: Path) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    return [(row["id"], row["text"].partition(": ")[2]) for row in found]


def test_a_kill_at_every_one_of_the_writes_loses_nothing(tmp_path: Path) -> None:
    most = 40
    with FakeServer(latency=0.005).in_thread() as server:
        for name in ("undisturbed", *(f"killed/{number}" for number in range(1, most + 1))):
            write_job(tmp_path / name, server)
        command = [sys.executable, str(RUNS), str(tmp_path / "undisturbed"), str(tmp_path / "killed")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        times = Counter(server.sent_texts)
    assert ran.returncode == 0, ran.stderr
    endings = [json.loads(line) for line in ran.stdout.splitlines()]
    assert 6 < len(endings) <= most
    assert endings == [[-signal.SIGKILL, 0]] * (len(endings) - 1) + [[0, 0]], ran.stderr
    wanted = rows(tmp_path / "undisturbed")
    assert len(wanted) == ITEMS - 1
    for number in range(1, len(endings) + 1):
        assert rows(tmp_path / f"killed/{number}") == wanted, f"write {number}"
        sent = {text: count for text, count in times.items() if text.startswith(f"{number}: ")}
        assert len(sent) == ITEMS - 1
        assert sum(sent.values()) - len(sent) <= IN_FLIGHT * BATCH, f"write {number}"
