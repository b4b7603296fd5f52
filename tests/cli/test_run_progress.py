"""What the progress is told while a job runs."""

from __future__ import annotations

from pathlib import Path

from asyncrun.app.request import Request
from asyncrun.app.run import run_jobs_of
from asyncrun.ports import Progress
from asyncrun.results import Counts
from asyncrun.testing.server import FakeServer
from asyncrun.usage import Load, Waits

JOBS = """
jobs:
  - name: notes
    kind: KIND
    input: notes/*.txt
    embedder: {provider: openai, model: fake, base_url: URL, api_key: "", batch: {max_items: 4}}
"""
ENDS = {"embed": "    output: out.jsonl\n", "ingest": "    store: {type: sqlite, path: store.db}\n    collection: notes\n"}


class Heard(Progress):
    """Notes what is still to be sent whenever it is told, and when items end."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.left = Load()

    def expect(self, task: str, left: Load) -> None:
        self.left = left

    def received(self, task: str, load: Load, waits: Waits | None) -> None:
        self.left -= load
        self.told.append(f"{self.left.texts} left")

    def advance(self, task: str, counts: Counts) -> None:
        self.told += [f"{counts.ok} ok, {counts.cached} cached"] if counts.ok else []


def run(folder: Path, kind: str, server: FakeServer) -> Heard:
    (folder / "jobs.yaml").write_text(JOBS.replace("KIND", kind).replace("URL", server.base_url) + ENDS[kind], encoding="utf-8")
    heard = Heard()
    assert run_jobs_of(Request(folder / "jobs.yaml"), lambda _: heard).result.exit_code == 0
    return heard


def write(folder: Path, numbers: range) -> None:
    (folder / "notes").mkdir(exist_ok=True)
    for number in numbers:
        (folder / "notes" / f"{number:02}.txt").write_text(f"text {number}", encoding="utf-8")


def test_ingest_advances_as_chunks_are_embedded_before_any_document_is_stored(tmp_path: Path) -> None:
    write(tmp_path, range(12))
    with FakeServer().in_thread() as server:
        heard = run(tmp_path, "ingest", server)
    sent = [words for words in heard.told if words.endswith("left")]
    assert len(sent) >= 3
    assert heard.told.index("12 ok, 0 cached") > heard.told.index(sent[-1])
    assert (sent[-1], heard.left) == ("0 left", Load())


def test_what_an_earlier_run_did_is_not_to_be_sent(tmp_path: Path) -> None:
    for kind in ENDS:
        folder = tmp_path / kind
        folder.mkdir()
        with FakeServer().in_thread() as server:
            write(folder, range(8))
            run(folder, kind, server)
            write(folder, range(8, 10))
            assert [words for words in run(folder, kind, server).told if words.endswith("left")] == ["0 left"]
