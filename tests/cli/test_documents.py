"""A folder of documents of every kind, read by a glob: what each says of itself is kept and asked for, and what is broken is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"] = "Delivery", "ada@example.org"
    message.set_content("The parcels arrive on Monday.")
    return bytes(message)


FOLDER = {
    "guide/start.md": b"---\ntitle: Getting started\nyear: 2026\n---\n# Start\n\nInstall the package, then run it.\n",
    "guide/broken.md": b"---\ntitle: [\n---\nA note with a broken front matter.\n",
    "page.html": b"<html lang=en><title>Limits</title><nav>Home</nav><main><h1>Limits</h1><p>Requests per minute are kept.</main>",
    "old.txt": "Die Bäume im Garten der Großmutter tragen süße Äpfel, die wir im Oktober pflücken.".encode("windows-1252"),
    "src/main.rs": b'fn main() { println!("hello"); }\n',
    "study.ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": "A study of owls."}], "metadata": {}, "nbformat": 4}).encode(),
    "mail.eml": mail(),
    "bad.ipynb": b"{",
    "rows.jsonl.gz": gzip.compress(b'{"id": "r1", "text": "A row about foxes.", "lang": "en"}\n'),
    "picture.png": b"\x89PNG",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FOLDER.items():
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_bytes(data)
    return tmp_path


WORDS = {
    "minute": [("page.html", {"title": "Limits", "lang": "en"})],
    "Großmutter": [("old.txt", {})],
    "println": [("src/main.rs", {"language": "rust"})],
    "owls": [("study.ipynb", {})],
    "parcels": [("mail.eml", {"subject": "Delivery", "from": "ada@example.org"})],
    "foxes": [("r1", {})],
    "Home": [],
    "title": [("guide/broken.md", {})],
}
"""Questions of one word, and what they find."""


def write_jobs(folder: Path) -> None:
    shared = {"store": {"type": "sqlite", "path": "index.db"}, "collection": "docs"}
    asked = {"kind": "query", "needs": ["fill"], "search": "keyword", **shared}
    jobs = [
        {"name": "fill", "kind": "ingest", "input": "docs/**/*", **shared},
        {"name": "words", "input": {"items": [{"id": word, "text": word} for word in WORDS]}, "output": "words.jsonl", **asked},
        {"name": "new", "input": {"items": ["install"]}, "output": "new.jsonl", "filter": "year >= 2026", **asked},
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def hits(path: Path) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["query"]: [(hit["doc_id"], hit["metadata"]) for hit in row["hits"]] for row in rows}


def test_a_mixed_folder_is_read_kept_with_what_it_says_of_itself_and_asked(asyncrun: Command, folder: Path) -> None:
    write_jobs(folder)
    answer = asyncrun("run")
    assert answer.code == 3
    said = " ".join(answer.err.split())
    assert "1 file not UTF-8, read as windows-1252 by a guess (input.encoding settles it): docs/old.txt" in said
    assert "1 file with front matter that is no YAML, which stays in the text: docs/guide/broken.md" in said
    assert "1 file passed over, hidden or of a type that nothing reads: docs/picture.png" in said
    assert "docs/bad.ipynb" in said
    assert "not a notebook: not JSON" in said
    assert hits(folder / "words.jsonl") == WORDS
    assert hits(folder / "new.jsonl") == {"install": [("guide/start.md", {"title": "Getting started", "year": 2026})]}
    summary = next(document for document in asyncrun("run", "fill", "--json").documents if document.get("kind") == "ingest")
    assert (summary["ok"], summary["failed"], summary["requests"]) == (8, 1, 0)


def test_a_file_that_changes_while_the_job_runs_ends_it_and_the_next_run_goes_on(asyncrun: Command, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.md").write_text(f"text {number}")

    def change(_: object) -> float:
        (tmp_path / "1.md").write_text("another text")
        return 0.0

    with FakeServer(latency=change).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "a", "kind": "embed", "input": "*.md", "output": "a.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        changed = asyncrun("run")
        assert changed.code == 74
        assert "1.md changed while the job ran" in changed.err
        summary = asyncrun("run", "--json").documents[-1]
    assert (summary["ok"], summary["cached"]) == (3, 2)
    assert [json.loads(line)["text"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ["text 0", "another text", "text 2"]


def test_a_document_that_cannot_be_read_fails_alone_and_what_is_stored_of_it_stays(asyncrun: Command, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("Cats purr.")
    whole = gzip.compress(b"Dogs bark. " * 200)
    (docs / "b.txt.gz").write_bytes(whole)
    Path("asyncrun.yaml").write_text(
        "jobs:\n  - {name: fill, kind: ingest, input: docs/*, store: {path: index.db}, collection: c, prune: true, max_failures: 1}\n"
    )
    assert asyncrun("run").code == 0
    (docs / "b.txt.gz").write_bytes(whole[:-10])
    for command, code in (("run", 3), ("retry", 3), ("run", 3)):
        assert asyncrun(command).code == code
        (failed,) = json.loads(asyncrun("failed", "--json").out)["items"]
        assert (failed["id"], failed["reason"], failed["place"]) == ("b.txt.gz", "unreadable", "docs/b.txt.gz")
    (plan,) = json.loads(asyncrun("plan", "--json").out)["jobs"]
    assert (plan["items"], plan["unchanged"], plan["failed"], plan["delete"]) == (2, 1, 1, 0)
    (docs / "b.txt.gz").write_bytes(whole)
    last = asyncrun("run", "--json").documents[-1]
    assert (last["exit_code"], last["ok"], last["cached"], last["removed"]) == (0, 2, 2, 0)
