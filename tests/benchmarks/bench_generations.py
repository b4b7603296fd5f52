"""How long a change of generations takes under queries: `python tests/benchmarks/bench_generations.py [CHUNKS ...]` prints a table."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asyncrun.records import Chunk
from asyncrun.stores.interface import REBUILT, REPLACED, Collection, SearchRequest, StoredDocument
from asyncrun.stores.sqlite import SqliteStore

DIMENSIONS = 384
CHUNKS_A_DOCUMENT = 4
NAME = "bench"


def generation(word: str, count: int) -> Iterator[StoredDocument]:
    """Yield documents of which every chunk tells its generation."""
    random = np.random.default_rng(7)
    for number in range(count // CHUNKS_A_DOCUMENT):
        texts = [f"{word} " + " ".join(f"word{rank}" for rank in random.zipf(1.2, size=40) % 50_000) for _ in range(CHUNKS_A_DOCUMENT)]
        yield StoredDocument(
            f"doc{number:06d}",
            "mark",
            [Chunk(text, 0, len(text), ordinal) for ordinal, text in enumerate(texts)],
            random.normal(size=(CHUNKS_A_DOCUMENT, DIMENSIONS)).astype(np.float32),
        )


@dataclass
class Reader:
    """Asks all the time, and notes what was wrong; `longest` is the slowest answer, in seconds."""

    path: Path
    queries: int = 0
    wrong: int = 0
    longest: float = 0.0
    seen: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask until it is stopped."""
        store = SqliteStore(self.path)
        random = np.random.default_rng()
        while not self.stop.is_set():
            request = SearchRequest("word11 word12", random.normal(size=DIMENSIONS).astype(np.float32), "hybrid", 10)
            begun = time.perf_counter()
            hits = store.search(NAME, [request])[0]
            self.longest = max(self.longest, time.perf_counter() - begun)
            words = {hit.text.partition(" ")[0] for hit in hits}
            self.queries += 1
            self.wrong += len(hits) != 10 or len(words) != 1
            self.seen |= words
        store.close()


def measure(count: int, path: Path) -> dict[str, str]:
    """Return the figures of two generations of so many chunks."""
    store = SqliteStore(path)
    for name, word in ((NAME, "old"), (f"{NAME}{REBUILT}", "new")):
        store.open_collection(Collection(name, word.ljust(32, "f"), DIMENSIONS))
        store.commit(name, "docs", generation(word, count))
        store.seal(name, "docs")
    reader = Reader(path)
    thread = threading.Thread(target=reader.ask)
    thread.start()
    figures = {}
    swap = {NAME: f"{NAME}{REPLACED}", f"{NAME}{REBUILT}": NAME}
    rollback = {NAME: f"{NAME}{REPLACED}", f"{NAME}{REPLACED}": NAME}
    for what, names in (("swap", swap), ("rollback", rollback), ("swap again", rollback)):
        before = reader.queries
        while reader.queries < before + 5:
            time.sleep(0.01)
        begun = time.perf_counter()
        store.rename(names)
        figures[what] = f"{(time.perf_counter() - begun) * 1000:.0f} ms"
    before = reader.queries
    while reader.queries < before + 5:
        time.sleep(0.01)
    begun = time.perf_counter()
    store.drop(f"{NAME}{REPLACED}")
    figures["drop"] = f"{time.perf_counter() - begun:.2f} s"
    reader.stop.set()
    thread.join()
    store.close()
    assert reader.seen == {"old", "new"}
    figures["queries meanwhile"] = f"{reader.queries}"
    figures["mixed or empty"] = f"{reader.wrong}"
    figures["slowest query (reads all vectors of the other generation)"] = f"{reader.longest:.2f} s"
    return figures


def main() -> None:
    """Print the table."""
    counts = [int(word) for word in sys.argv[1:]] or [20_000, 200_000]
    with tempfile.TemporaryDirectory() as folder:
        columns = {count: measure(count, Path(folder) / f"{count}.db") for count in counts}
    print("| sqlite, 384 dimensions | " + " | ".join(f"{count:,} chunks" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for name in columns[counts[0]]:
        print(f"| {name} | " + " | ".join(columns[count][name] for count in counts) + " |")


if __name__ == "__main__":
    main()
