"""Reading mixed documents beside the bare libraries: `python tests/benchmarks/bench_documents.py [FILES]` prints a Markdown table.

The documents are made here from the project's own pages. Both sides give their texts to one process, in the order of the files, on as many
processes as there are cores: here the input of a job as a run reads it, there `multiprocessing.Pool.imap` over PDFium, selectolax,
`zipfile` with ElementTree, and json, which make no headings, tables or metadata. They take turns, each time in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from asyncrun.readers.item_source import ItemSource  # noqa: E402
from asyncrun.registry import names  # noqa: E402
from tests.documents import docx_of, paragraph, pdf_of, text_page  # noqa: E402

FILES = 500
ROUNDS = 5
T = TypeVar("T")
TICK = 0.002


def paragraphs() -> list[str]:
    """Return the paragraphs of the project's pages."""
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    return [" ".join(each.split()) for each in text.split("\n\n") if len(each) > 200]


def make_pdf(rng: random.Random, texts: list[str]) -> bytes:
    """Return 5 to 40 pages of text."""
    pages = []
    for _ in range(rng.randint(5, 40)):
        words = " ".join(rng.choices(texts, k=8)).encode("latin-1", "ignore").decode("latin-1")
        pages.append(text_page(*[words[at : at + 90] for at in range(0, 45 * 90, 90)]))
    return pdf_of(pages)


def make_html(rng: random.Random, texts: list[str]) -> bytes:
    """Return a page of 10 to 100 kB, with a menu and headings."""
    menu = "".join(f"<li><a href='/{number}'>Page {number}</a></li>" for number in range(60))
    parts = "".join(f"<h2>Part {number}</h2>\n<p>{escape(rng.choice(texts))}</p>\n" for number in range(rng.randint(20, 200)))
    body = f"<nav><ul>{menu}</ul></nav><main><h1>A page</h1>{parts}</main>"
    return f"<html><head><title>A page</title></head><body>{body}</body></html>".encode()


def make_docx(rng: random.Random, texts: list[str]) -> bytes:
    """Return 20 to 200 paragraphs below headings."""
    parts = (paragraph(f"Part {number}", "Heading1") + paragraph(escape(rng.choice(texts))) for number in range(rng.randint(20, 200)))
    return docx_of("".join(parts))


def make_md(rng: random.Random, texts: list[str]) -> bytes:
    """Return 2 to 50 paragraphs below headings."""
    return "\n\n".join(f"## Part {number}\n\n{rng.choice(texts)}" for number in range(rng.randint(2, 50))).encode()


def make_ipynb(rng: random.Random, texts: list[str]) -> bytes:
    """Return 10 to 60 cells."""
    kinds = ("markdown", "code")
    cells = [{"cell_type": kinds[number % 2], "source": [rng.choice(texts)], "metadata": {}} for number in range(rng.randint(10, 60))]
    cells = [{**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell for cell in cells]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


MAKERS: dict[str, tuple[Callable[[random.Random, list[str]], bytes], int]] = {
    "pdf": (make_pdf, 3),
    "html": (make_html, 2),
    "docx": (make_docx, 2),
    "md": (make_md, 2),
    "ipynb": (make_ipynb, 1),
}
"""How a document of an ending is made, and how many of ten are of it."""


def write_documents(folder: Path, files: int) -> None:
    """Write so many documents, of the formats that are built."""
    rng, texts = random.Random(1), paragraphs()
    kinds = [ending for ending, (_, share) in MAKERS.items() if ending == "md" or ending in names("readers") for _ in range(share)]
    for number in range(files):
        ending = kinds[number % len(kinds)]
        (folder / f"{number:05}.{ending}").write_bytes(MAKERS[ending][0](rng, texts))


def bare(path: str) -> str:
    """Return the text of a file as the library gives it."""
    ending = path.rpartition(".")[2]
    if ending == "pdf":
        import pypdfium2

        with pypdfium2.PdfDocument(path) as document:
            return "\f".join(page.get_textpage().get_text_bounded() for page in document)
    data = Path(path).read_bytes()
    if ending == "html":
        from selectolax.lexbor import LexborHTMLParser

        return str(LexborHTMLParser(data).body.text())
    if ending == "docx":
        with zipfile.ZipFile(path) as archive:
            tree = ElementTree.fromstring(archive.read("word/document.xml"))
        return "\n".join("".join(each.itertext()) for each in tree.iter() if each.tag.endswith("}p"))
    if ending == "ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(data)["cells"])
    return data.decode()


def by_bare_libraries(folder: Path) -> Iterator[str]:
    """Yield the texts in the order of the files."""
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        yield from pool.imap(bare, sorted(map(str, folder.iterdir())))


def by_asyncrun(folder: Path) -> Iterator[str]:
    """Yield the texts in the order of the files."""
    for item in ItemSource(folder, ("*",)).items():
        yield item.text  # type: ignore[union-attr]


SIDES: dict[str, Callable[[Path], Iterator[str]]] = {"asyncrun": by_asyncrun, "bare": by_bare_libraries}


async def measured_beside_a_loop(work: Callable[[], Awaitable[T]]) -> tuple[T, dict[str, float]]:
    """Return what the work returns, and its seconds, CPU, memory and the longest time that the loop did not turn meanwhile."""
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - before - TICK)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0.05)
    longest = 0.0
    began = time.perf_counter()
    done = await work()
    seconds = time.perf_counter() - began
    turning.cancel()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    return done, {"seconds": seconds, "cpu": cpu, "MB": used[0].ru_maxrss // 1024, "lag": longest * 1000}


async def measure(side: str, folder: Path) -> dict[str, float]:
    """Return how long a pass takes in a thread, what it yields, its memory and the longest time that the loop did not turn."""
    work = partial(asyncio.to_thread, lambda: sum(map(len, SIDES[side](folder))))
    characters, figures = await measured_beside_a_loop(work)
    return {"characters": characters, **figures}


def measured(side: str, folder: Path) -> dict[str, float]:
    """Measure a side in a process of its own."""
    command = [sys.executable, __file__, "--measure", side, str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(sys.argv[2], Path(sys.argv[3])))))
        return
    if importlib.util.find_spec("pypdfium2") is None:
        sys.exit("install the extra: pip install 'asyncrun[documents]'")
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_documents(folder, files)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(ROUNDS):
            for side, rows in found.items():
                rows.append(measured(side, folder))
    print(f"{files} files, {size:.0f} MB, {os.cpu_count()} cores, Python {sys.version.split()[0]}; median of {ROUNDS}\n")
    print("| | documents/s | CPU s | million characters | peak MB of this process | longest block of the loop, ms |")
    print("|---|---|---|---|---|---|")
    for side, rows in found.items():
        rate = statistics.median(files / row["seconds"] for row in rows)
        cpu = statistics.median(row["cpu"] for row in rows)
        peak, lag = max(row["MB"] for row in rows), max(row["lag"] for row in rows)
        print(f"| {side} | {rate:.0f} | {cpu:.1f} | {rows[0]['characters'] / 1e6:.2f} | {peak:.0f} | {lag:.0f} |")
    ratios = [theirs["seconds"] / ours["seconds"] for ours, theirs in zip(*found.values(), strict=True)]
    print(f"\nasyncrun / bare: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
