"""From a file to a hit: the page that a chunk begins on, and the headings above it."""

from __future__ import annotations

from pathlib import Path

import pytest

import asyncrun
from asyncrun.testing.server import FakeServer

GUIDE = "# Cats\n\nCats purr.\n\n## Food\n\nThey eat herring.\n"
BOOK = "The first page is about dogs.\n\fThe second page is about parrots.\n\f\n"


@pytest.mark.parametrize(
    ("by", "question", "expected"),
    [
        ("markdown", "herring", {"headings": ["Cats", "Food"]}),
        ("page", "parrots", {"page": 2}),
        ("sentence", "dogs", {"page": 1}),
        ("none", "parrots", {"page": 1}),
    ],
)
def test_a_hit_knows_its_page_and_its_headings(
    server: FakeServer, tmp_path: Path, by: str, question: str, expected: dict[str, object]
) -> None:
    (tmp_path / "guide.md").write_text(GUIDE)
    (tmp_path / "book.txt").write_text(BOOK)
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "k"}
    fill = {
        "name": "fill",
        "kind": "ingest",
        "input": ["*.md", "*.txt"],
        "embedder": embedder,
        "store": {"path": "index.db"},
        "chunk": {"by": by},
    }
    report = asyncrun.run({"jobs": [fill]}, folder=tmp_path)
    assert report.exit_code == 0
    with asyncrun.Store.open(tmp_path / "index.db") as store:
        [hit] = store.search(question, "documents", top_k=1, mode="keyword")
    assert expected.items() <= hit.metadata.items()
    assert question in hit.text
