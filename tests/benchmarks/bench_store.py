"""How fast the embedded store commits and answers: `python tests/benchmarks/bench_store.py [CHUNKS ...]` prints a Markdown table."""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from asyncrun.records import Chunk
from asyncrun.stores.interface import Collection, SearchMode, SearchRequest, StoredDocument
from asyncrun.stores.sqlite import SqliteStore

DIMENSIONS = 384
CHUNKS_A_DOCUMENT = 4
WORDS_A_CHUNK = 60
QUESTIONS = 25
REFERENCE = {20_000: "17 ms", 200_000: "48 ms; filtered 72 ms"}
"""Measured before this store was written, for sqlite3 + FTS5 + numpy: p50 of a vector search."""


def documents(count: int, random: np.random.Generator) -> Iterator[StoredDocument]:
    """Yield documents whose words are as unevenly common as those of a language (Zipf), a tenth of them in English."""
    for number in range(count // CHUNKS_A_DOCUMENT):
        ranks = random.zipf(1.2, size=(CHUNKS_A_DOCUMENT, WORDS_A_CHUNK)) % 50_000
        texts = [" ".join(f"word{rank}" for rank in row) for row in ranks]
        yield StoredDocument(
            f"doc{number:06d}",
            "mark",
            [Chunk(text, 0, len(text), ordinal) for ordinal, text in enumerate(texts)],
            random.normal(size=(CHUNKS_A_DOCUMENT, DIMENSIONS)).astype(np.float32),
            {"lang": "en" if number % 10 == 0 else "de", "year": 2000 + number % 25},
        )


def requests(mode: SearchMode, filter_text: str | None, random: np.random.Generator, *, sentence: bool = False) -> list[SearchRequest]:
    """Return questions of five words, none among the ten most common; with `sentence` three of those besides."""
    return [
        SearchRequest(
            " ".join(f"word{rank}" for rank in [*random.integers(10, 2_000, size=5), *(range(1, 4) if sentence else ())]),
            random.normal(size=DIMENSIONS).astype(np.float32),
            mode,
            10,
            filter_text,
        )
        for _ in range(QUESTIONS)
    ]


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def p50(store: SqliteStore, mode: SearchMode, filter_text: str | None, random: np.random.Generator, *, sentence: bool = False) -> str:
    """Return the median of questions asked one by one."""
    times = [seconds(partial(store.search, "bench", [request])) for request in requests(mode, filter_text, random, sentence=sentence)]
    return f"{statistics.median(times) * 1000:.1f} ms"


def measure(count: int, folder: Path) -> dict[str, str]:
    """Return the figures of a store of `count` chunks."""
    random = np.random.default_rng(7)
    made = list(documents(count, random))
    path = folder / f"{count}.db"
    store = SqliteStore(path)
    store.open_collection(Collection("bench", "f" * 32, DIMENSIONS))
    figures = {"commit": f"{count / seconds(lambda: store.commit('bench', 'docs', made)):,.0f} chunks/s"}
    made.clear()
    store.close()
    figures["file"] = f"{path.stat().st_size / 1e6:,.0f} MB ({path.stat().st_size / (count * DIMENSIONS * 4):.2f} x vectors)"
    figures["first vector search"] = f"{seconds(lambda: store.search('bench', requests('vector', None, random)[:1])):.2f} s"
    figures["vector"] = p50(store, "vector", None, random)
    figures["keyword"] = p50(store, "keyword", None, random)
    figures["keyword, with three words that most chunks hold"] = p50(store, "keyword", None, random, sentence=True)
    figures["hybrid"] = p50(store, "hybrid", None, random)
    figures["vector, filtered, first"] = (
        f"{seconds(lambda: store.search('bench', requests('vector', 'year > 2020', random)[:1])) * 1000:.0f} ms"
    )
    figures["vector, filtered (10%)"] = p50(store, "vector", "lang = 'en'", random)
    figures["vector, filtered (80%)"] = p50(store, "vector", "year >= 2005", random)
    figures["keyword, filtered (10%)"] = p50(store, "keyword", "lang = 'en'", random)
    together = [request for _ in range(4) for request in requests("vector", None, random)]
    figures["vector, 100 at once"] = f"{seconds(lambda: store.search('bench', together)) / len(together) * 1000:.1f} ms each"
    figures["memory at most"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:,.0f} MB"
    store.close()
    return figures


def main() -> None:
    """Print the table."""
    counts = [int(word) for word in sys.argv[1:]] or [20_000, 200_000]
    with tempfile.TemporaryDirectory() as folder:
        columns = {count: measure(count, Path(folder)) for count in counts}
    print("| 384 dimensions | " + " | ".join(f"{count:,} chunks" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for name in columns[counts[0]]:
        print(f"| {name} | " + " | ".join(columns[count][name] for count in counts) + " |")
    print("| reference (vector) | " + " | ".join(REFERENCE.get(count, "") for count in counts) + " |")


if __name__ == "__main__":
    main()
