"""What proving costs a query job: opening a store and asking 225 questions, against another state of the code.

`python tests/benchmarks/bench_store_proof.py TREE [CHUNKS ...]`: TREE is a checkout of the code to compare with, as made by
`git worktree add TREE COMMIT`. Prints a Markdown table of CPU seconds, the least of several rounds, and their ratio; the trees take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from asyncrun.stores.interface import Collection, SearchMode, SearchRequest
from asyncrun.stores.sqlite import SqliteStore

QUESTIONS, ROUNDS, DIMENSIONS = 225, 7, 384
WAYS: dict[str, tuple[SearchMode, str | None]] = {
    "vector": ("vector", None),
    "vector, filtered (10%)": ("vector", "lang = 'en'"),
    "keyword": ("keyword", None),
    "keyword, filtered (10%)": ("keyword", "lang = 'en'"),
    "hybrid": ("hybrid", None),
}


def make(path: Path, count: int) -> None:
    """Fill a store as an ingest job does, and end as one."""
    from bench_store import documents

    store = SqliteStore(path)
    store.open_collection(Collection("bench", "f" * 32, DIMENSIONS))
    store.commit("bench", "docs", documents(count, np.random.default_rng(7)))
    if hasattr(store, "seal"):
        store.seal("bench", "docs")
    store.close()


def measure(path: Path) -> dict[str, float]:
    """Return CPU seconds of a store that is opened and asked, by the way of asking."""
    spent = {}
    store = SqliteStore(path)
    store.search("bench", [SearchRequest("word", np.ones(DIMENSIONS, dtype=np.float32), "hybrid", 1, "year = 2000")])
    store.close()  # What is imported when it is first used is not counted.
    for name, (mode, text) in WAYS.items():
        random = np.random.default_rng(1)
        requests = [
            SearchRequest(" ".join(f"word{rank}" for rank in random.integers(10, 2_000, 5)), row, mode, 10, text)
            for row in random.normal(size=(QUESTIONS, DIMENSIONS)).astype(np.float32)
        ]
        begun = time.process_time()
        store = SqliteStore(path)
        store.search("bench", requests)
        store.close()
        spent[name] = time.process_time() - begun
    return spent


def in_tree(tree: str, *words: str) -> str:
    """Run this file with the code of a tree, on one thread."""
    environ = {**os.environ, "PYTHONPATH": tree, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, __file__, *words], env=environ, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Compare, or be the process that measures one tree."""
    if sys.argv[1] == "--make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "--measure":
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        compare(sys.argv[1], [int(word) for word in sys.argv[2:]] or [6_300, 100_000])


def compare(other: str, counts: list[int]) -> None:
    """Print the table."""
    trees = {"before": other, "after": str(Path(__file__).resolve().parents[2])}
    print(f"| {QUESTIONS} questions, CPU seconds | before | after | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            least: defaultdict[tuple[str, str], float] = defaultdict(lambda: float("inf"))
            for name, tree in trees.items():
                in_tree(tree, "--make", f"{folder}/{name}{count}.db", str(count))
            for _ in range(ROUNDS):
                for name, tree in trees.items():
                    for way, seconds in json.loads(in_tree(tree, "--measure", f"{folder}/{name}{count}.db")).items():
                        least[name, way] = min(least[name, way], seconds)
            for way in WAYS:
                before, after = least["before", way], least["after", way]
                print(f"| {count:,} chunks, {way} | {before:.3f} | {after:.3f} | {after / before:.2f} |", flush=True)


if __name__ == "__main__":
    main()
