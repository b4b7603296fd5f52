"""Ingest and search beside LlamaIndex, where vectors cost nothing: `python tests/benchmarks/bench_ingest.py [CHUNKS ...]`.

Each side is a process of its own. It reads documents from a JSON Lines file, cuts them into chunks of 256 tokens, embeds them with a class
that answers at once from the same table, and leaves an index on the disk. `asyncrun` does so with an ingest job: ledger, trace and summary
included. Needs llama-index-core.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PEERS = Path(__file__).parent / "peers"
CHUNKS_A_DOCUMENT = 10
WORDS_A_CHUNK = 224
"""So many words are new in a chunk of 256 tokens, of which 32 repeat."""
QUESTIONS = 20
TOP_K = 10


def write_documents(path: Path, chunks: int) -> None:
    """Write documents that come to about so many chunks: sentences of whole words, as unevenly common as those of a language (Zipf)."""
    import asyncrun.embedders

    vocabulary = Path(asyncrun.embedders.__file__).parent / "minilm_data" / "vocabulary.txt"
    words = np.array([word for word in vocabulary.read_text(encoding="utf-8").split() if word.isascii() and word.isalpha()])
    random = np.random.default_rng(7)
    with path.open("w", encoding="utf-8") as file:
        for number in range(chunks // CHUNKS_A_DOCUMENT):
            chosen = words[random.zipf(1.3, size=CHUNKS_A_DOCUMENT * WORDS_A_CHUNK) % len(words)].tolist()
            sentences, start = [], 0
            while start < len(chosen):
                length = int(random.integers(6, 25))
                sentences.append(" ".join(chosen[start : start + length]).capitalize() + ".")
                start += length
            file.write(json.dumps({"id": f"doc{number:06d}", "text": " ".join(sentences), "lang": "en"}) + "\n")


def installed_plugin(folder: Path) -> Path:
    """Make the embedder a plugin that is found there, as an installed package would be."""
    about = folder / "table_embedding-1.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: table-embedding\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[asyncrun.embedders]\ntable = table_embedding:TableEmbedding\n")
    return folder


def questions() -> list[str]:
    """Return what is asked."""
    return [f"question number {number}" for number in range(QUESTIONS)]


def median(ask: Callable[[str], object]) -> float:
    """Return the seconds of a question, one after the other; the first is not counted."""
    ask("what is read before the first answer")
    times = []
    for question in questions():
        begun = time.perf_counter()
        ask(question)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def asyncrun_side(documents: Path, folder: Path) -> dict[str, float]:
    """Ingest with a job, and ask its store."""
    import asyncrun

    job_file: dict[str, Any] = {
        "version": 1,
        "embedders": {"table": {"provider": "table"}},
        "stores": {"index": {"type": "sqlite", "path": "index.db"}},
        "jobs": [{"name": "docs", "kind": "ingest", "embedder": "table", "store": "index", "input": {"path": str(documents)}}],
    }
    file = folder / "jobs.yaml"
    file.write_text(json.dumps(job_file))
    begun, used = time.perf_counter(), time.process_time()
    report = asyncrun.run(file)
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    assert report.exit_code == 0, report
    peak = peak_megabytes()
    with asyncrun.Store.open("index", file=file) as store:
        query = median(lambda question: store.search(question, "documents", top_k=TOP_K))
    import sqlite3

    chunks = sqlite3.connect(folder / "index.db").execute("SELECT count(*) FROM chunks").fetchone()[0]
    return {"chunks": chunks, "seconds": seconds, "processor": processor, "peak": peak, "query": query}


def llama_index_side(documents: Path, folder: Path) -> dict[str, float]:
    """Ingest with its pipeline into its vector index, persisted, and ask a retriever."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from table_embedding_llamaindex import TableEmbedding

    begun, used = time.perf_counter(), time.process_time()
    with documents.open(encoding="utf-8") as file:
        rows = [Document(id_=row["id"], text=row["text"], metadata={"lang": row["lang"]}) for row in map(json.loads, file)]
    embedding = TableEmbedding(embed_batch_size=128)
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=32), embedding], disable_cache=True)
    nodes = asyncio.run(pipeline.arun(documents=rows))
    index = VectorStoreIndex(nodes, embed_model=embedding)
    index.storage_context.persist(str(folder))
    seconds, processor, peak = time.perf_counter() - begun, time.process_time() - used, peak_megabytes()
    query = median(index.as_retriever(similarity_top_k=TOP_K).retrieve)
    return {"chunks": len(nodes), "seconds": seconds, "processor": processor, "peak": peak, "query": query}


def peak_megabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


SMALL_FILES = 4_000


def unchanged(folder: Path) -> str:
    """Return how long a run takes, from the shell, over a folder of small files that are all in the store already."""
    (folder / "in").mkdir()
    random = np.random.default_rng(3)
    for number in range(SMALL_FILES):
        words = " ".join(f"word{rank}" for rank in random.integers(0, 5_000, size=60))
        (folder / "in" / f"{number:05d}.md").write_text(f"# Note {number}\n\n{words}\n")
    job = {"name": "docs", "kind": "ingest", "embedder": "table", "store": "index", "input": {"path": "in/*.md"}}
    stores = {"index": {"type": "sqlite", "path": "index.db"}}
    job_file = {"version": 1, "embedders": {"table": {"provider": "table"}}, "stores": stores, "jobs": [job]}
    (folder / "jobs.yaml").write_text(json.dumps(job_file))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PEERS), str(installed_plugin(folder))])}
    times = []
    for _ in range(4):
        begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "asyncrun", "run", "--quiet", "jobs.yaml"], check=True, cwd=folder, env=environ)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((time.perf_counter() - begun, ended.ru_utime + ended.ru_stime - used.ru_utime - used.ru_stime))
    seconds, processor = (statistics.median(each) for each in zip(*times[1:], strict=True))
    return f"{SMALL_FILES:,} small files, unchanged: {seconds:.2f} s, {processor:.2f} s of a processor"


SIDES = {"asyncrun": asyncrun_side, "LlamaIndex": llama_index_side}


def run_side(name: str, documents: Path) -> dict[str, float]:
    """Return the figures of one side, from a process of its own."""
    with tempfile.TemporaryDirectory(dir=documents.parent) as folder:
        command = [sys.executable, __file__, "--side", name, str(documents), folder]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def main() -> None:
    """Print a table."""
    if sys.argv[1:2] == ["--side"]:
        name, documents, folder = sys.argv[2:]
        sys.path[:0] = [str(PEERS), str(installed_plugin(Path(documents).parent))]
        print(json.dumps(SIDES[name](Path(documents), Path(folder))))
        return
    print("| | chunks | seconds | of a processor | chunks/s | peak MB | a question, ms |\n|---|---|---|---|---|---|---|")
    for count in [int(word) for word in sys.argv[1:]] or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            documents = Path(folder) / "documents.jsonl"
            write_documents(documents, count)
            found = {name: run_side(name, documents) for name in SIDES}
        for name, each in found.items():
            times = f"{each['seconds']:.1f} | {each['processor']:.1f} | {each['chunks'] / each['seconds']:,.0f}"
            print(f"| {name} | {each['chunks']:,.0f} | {times} | {each['peak']:,.0f} | {each['query'] * 1000:.1f} |", flush=True)
        ours, theirs = found["asyncrun"], found["LlamaIndex"]
        speed, processor = (ours["chunks"] / ours[key] / theirs["chunks"] * theirs[key] for key in ("seconds", "processor"))
        print(
            f"| ratio | | | {processor:.2f} | {speed:.2f} | {ours['peak'] / theirs['peak']:.2f} | {theirs['query'] / ours['query']:.0f} |"
        )
    with tempfile.TemporaryDirectory() as folder:
        print(f"\n{unchanged(Path(folder))}")


if __name__ == "__main__":
    main()
