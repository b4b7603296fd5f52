"""How fast the store in PostgreSQL takes chunks and answers, beside a bare COPY loop.

`python tests/benchmarks/bench_pgvector.py [CHUNKS ...]` prints it.

The bare loop is what a program without a store would write: psycopg, pgvector's adapter, binary COPY of the same ids, texts and vectors, a
transaction as often as the store has one. It needs psycopg and pgvector (`pip install psycopg[binary] pgvector`), and PostgreSQL.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from asyncrun.records import Chunk
from asyncrun.stores.interface import Collection, SearchRequest, StoredDocument
from asyncrun.stores.pgvector import PgVectorStore
from tests.postgres import PostgresServer, make_folder

DIMENSIONS, CHUNKS_A_DOCUMENT, AT_ONCE, QUESTIONS = 384, 20, 2_000, 25
LARGEST_SEARCHED = 100_000
"""Chunks up to which the indexes are built and asked: HNSW takes half a minute for these."""


def documents(count: int) -> Iterator[StoredDocument]:
    """Yield documents whose vectors lie in clusters, and whose words are as unevenly common as those of a language (Zipf)."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(200, DIMENSIONS)).astype(np.float32)
    for number in range(count // CHUNKS_A_DOCUMENT):
        vectors = centres[random.integers(0, 200, CHUNKS_A_DOCUMENT)]
        vectors = vectors + random.normal(size=vectors.shape).astype(np.float32)
        ranks = random.zipf(1.2, size=(CHUNKS_A_DOCUMENT, 60)) % 50_000
        texts = [" ".join(f"w{rank}" for rank in row) for row in ranks]
        chunks = [Chunk(text, 0, len(text), ordinal) for ordinal, text in enumerate(texts)]
        yield StoredDocument(f"docs/{number:06d}.md", "mark", chunks, vectors.astype(np.float32), {"few": number % 100 == 7})


def bare(url: str, count: int) -> float:
    """Return the seconds that a COPY loop takes."""
    spent = 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        connection.execute(f"CREATE TABLE bare (id text PRIMARY KEY, doc_id text, text text, embedding vector({DIMENSIONS}))")
        for group in groups(count):
            rows = [
                (each.chunk_id(chunk), each.doc_id, chunk.text, vector)
                for each in group
                for chunk, vector in zip(each.chunks, each.vectors, strict=True)
            ]
            begun = time.perf_counter()
            with connection.transaction(), connection.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["text", "text", "text", "vector"])
                for row in rows:
                    copy.write_row(row)
            spent += time.perf_counter() - begun
        connection.execute("DROP TABLE bare")
    return spent


def stored(store: PgVectorStore, count: int) -> tuple[float, list[int]]:
    """Return the seconds that the store takes, and the peak of this process's memory in MB after each tenth."""
    spent, peaks = 0.0, []
    store.open_collection(Collection("bench", "a" * 32, DIMENSIONS))
    for number, group in enumerate(groups(count)):
        begun = time.perf_counter()
        store.commit("bench", "docs", group)
        spent += time.perf_counter() - begun
        if number % max(1, count // AT_ONCE // 10) == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    return spent, peaks


def groups(count: int) -> Iterator[list[StoredDocument]]:
    """Yield documents by the transaction."""
    group: list[StoredDocument] = []
    for document in documents(count):
        group.append(document)
        if len(group) * CHUNKS_A_DOCUMENT >= AT_ONCE:
            yield group
            group = []


def latency(store: PgVectorStore, **asked: object) -> str:
    """Return the median and the longest of some searches in milliseconds."""
    random, spent = np.random.default_rng(5), []
    for document in list(documents(QUESTIONS * CHUNKS_A_DOCUMENT)):
        words = " ".join(f"w{rank}" for rank in [*random.integers(10, 2_000, size=5), 1, 2])
        begun = time.perf_counter()
        store.search("bench", [SearchRequest(words, document.vectors[0], top_k=10, **asked)])  # type: ignore[arg-type]
        spent.append(1000 * (time.perf_counter() - begun))
    return f"{statistics.median(spent):.0f} ms (longest {max(spent):.0f})"


def show_latencies(store: PgVectorStore) -> None:
    """Print how long searches take, and building their indexes."""
    exact, begun = latency(store), time.perf_counter()
    store.seal("bench", "docs")
    print(f"- indexes built in {time.perf_counter() - begun:.0f} s\n- vector, without an index: {exact}\n- vector: {latency(store)}")
    print(f"- vector, filter that keeps 1 %: {latency(store, filter='few = true')}")
    print(f"- keyword: {latency(store, mode='keyword')}\n- hybrid: {latency(store, mode='hybrid')}", flush=True)


def main() -> None:
    """Print a table."""
    for count in [int(word.replace("_", "")) for word in sys.argv[1:]] or [100_000]:
        folder = make_folder()
        server = PostgresServer.make(folder)
        store = PgVectorStore(server.url)
        try:
            loop = bare(server.url, count)
            spent, peaks = stored(store, count)
            rates = f"bare COPY {count / loop:,.0f}/s, store {count / spent:,.0f}/s, {loop / spent:.2f} times"
            print(f"{count:,} chunks: {rates}; peak MB {peaks}", flush=True)
            if count <= LARGEST_SEARCHED:
                show_latencies(store)
        finally:
            store.close()
            server.stop()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
