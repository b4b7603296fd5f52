"""A collection is filled anew by runs that are killed at random instants, while it is asked: every answer is of one generation.

`ASYNCRUN_TEST_REBUILD_KILLS=1000` runs a longer loop, `ASYNCRUN_TEST_SEED` repeats one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from asyncrun.stores.generations import LEFT_OUT, roll_back
from asyncrun.stores.interface import REBUILT, REPLACED, SearchMode, SearchRequest
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP, asked_for

KILLS = asked_for("ASYNCRUN_TEST_REBUILD_KILLS", quick=1, deep=20)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
DOCUMENTS = {f"doc{n:02d}": f"Each document has two sentences. This is number {n} of them." for n in range(24)}
BATCH, IN_FLIGHT = 2, 2
WHOLE, CUT = {"by": "none"}, {"size": 40, "overlap": 2}
"""How every second generation is cut: its hits tell by their ids of which they are."""


def write_job(folder: Path, server: FakeServer, generation: int) -> None:
    rows = (json.dumps({"id": doc_id, "text": text}) + "\n" for doc_id, text in DOCUMENTS.items())
    (folder / "documents.jsonl").write_text("".join(rows))
    embedder = {
        **{"provider": "openai", "model": f"model-{generation}", "base_url": server.base_url, "dimensions": 8},
        **{"batch": {"max_items": BATCH}, "limits": {"concurrency": IN_FLIGHT}},
    }
    job = {"name": "fill", "kind": "ingest", "input": "documents.jsonl", "embedder": embedder, "store": {"path": "index.db"}}
    more = {"collection": "notes", "on_new_space": "rebuild", "chunk": CUT if generation % 2 else WHOLE}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job | more]}))


@dataclass
class Asker:
    """Asks for every document, again and again, by words and by meaning; `wrong` are the answers that no single generation gives."""

    path: Path
    asked: Counter[bool] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        modes: tuple[SearchMode, ...] = ("keyword", "vector", "hybrid")
        requests = [SearchRequest("document number", np.ones(8, dtype=np.float32), mode, 1000) for mode in modes]
        with closing(SqliteStore(self.path)) as store:
            while not self.stop.wait(0.005):  # the server of this process has its turn, too
                begun = time.perf_counter()
                for hits in store.search("notes", requests):
                    is_cut = {"#" in hit.id for hit in hits}
                    if len(is_cut) != 1 or {hit.doc_id for hit in hits} != set(DOCUMENTS):
                        self.wrong.append(f"{len(hits)} hits of {len({hit.doc_id for hit in hits})} documents, cut: {is_cut}")
                    self.asked.update(is_cut)
                self.longest = max(self.longest, time.perf_counter() - begun)


def run_or_kill(folder: Path, server: FakeServer, rng: random.Random, *, kill: bool) -> bool:
    """Run the job, and kill it at some instant if it is to be; tell whether it came to its end."""
    begun = len(server.requests)
    command = [sys.executable, "-m", "asyncrun", "run", "--quiet"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if kill:
        # Half of them while it sends, the others about its end, where generations change places.
        last = begun + (1 if rng.random() < 0.5 else 2 * len(DOCUMENTS) // BATCH - 2)
        while len(server.requests) < last and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.12)
        process.kill()
    told, _ = process.communicate(timeout=120)
    assert process.returncode in (0, -9), told
    return process.returncode == 0


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_no_answer_is_of_two_generations_or_of_none_whenever_a_rebuild_is_killed(tmp_path: Path) -> None:
    rng, kills, generation, begun = random.Random(SEED), 0, 0, time.monotonic()
    with FakeServer(latency=0.004).in_thread() as server:
        write_job(tmp_path, server, generation)
        assert run_or_kill(tmp_path, server, rng, kill=False)
        asker = Asker(tmp_path / "index.db")
        thread = threading.Thread(target=asker.ask)
        thread.start()
        try:
            while kills < KILLS:
                generation += 1
                write_job(tmp_path, server, generation)
                server.requests.clear()
                here = 0
                while not run_or_kill(tmp_path, server, rng, kill=kills < KILLS):
                    kills, here = kills + 1, here + 1
                look_at_the_end(tmp_path, server, generation, here)
            roll_back_and_forth(tmp_path, asker)
        finally:
            asker.stop.set()
            thread.join()
    asked = asker.asked.total()
    print(f"seed {SEED}: {kills} kills, {generation} generations, {asked} answers, the slowest three in {asker.longest:.3f} s")
    print(f"{time.monotonic() - begun:.0f} s")
    assert asker.wrong == []
    assert set(asker.asked) == {False, True}


def look_at_the_end(folder: Path, server: FakeServer, generation: int, kills: int) -> None:
    """Find the new generation in its place, the former one beside it, and no text sent twice but what was in flight."""
    with closing(SqliteStore(folder / "index.db")) as store:
        assert [each.name for each in store.collections()] == ["notes", "notes" + REPLACED]
        for name, made in (("notes", generation), ("notes" + REPLACED, generation - 1)):
            stats = store.stats(name)
            assert dict(stats.documents) == {"fill": len(DOCUMENTS)}
            assert (stats.chunks > len(DOCUMENTS)) is bool(made % 2)
            assert not store.marks(name, "fill" + LEFT_OUT)
        assert store.fingerprint("notes" + REBUILT) is None
    sent = [text for request in server.requests for text in request.texts]
    assert len(sent) - len(set(sent)) <= kills * BATCH * IN_FLIGHT


def roll_back_and_forth(folder: Path, asker: Asker) -> None:
    """Change the two generations' places, and have each of them asked."""
    with closing(SqliteStore(folder / "index.db")) as store:
        for _ in range(4):
            before = asker.asked.total()
            roll_back(store, "notes")
            while asker.asked.total() < before + 6:
                time.sleep(0.002)
