"""The rows of an output are those of the items that are counted as done; otherwise the run ends with 74, and the former output stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.ledger.ledger import Ledger
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
ITEMS, BATCH = 24, 4
ENDINGS = ("jsonl", "csv", "npy", "parquet")


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer) -> Path:
    (tmp_path / "items.jsonl").write_text("".join(json.dumps({"id": f"n{n}", "text": f"text {n}"}) + "\n" for n in range(ITEMS)))
    return tmp_path


def write_job(folder: Path, server: FakeServer, output: str) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}}
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": output, "embedder": embedder, "workers": 1}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Have another process drop a batch right before the output is written: what is done was counted by then."""
    index = Ledger.index

    def arm(looks: int) -> None:
        seen = []

        def look(ledger: Ledger, *arguments: Any) -> Any:
            seen.append(1)
            if len(seen) == looks:
                with closing(sqlite3.connect(ledger.folder / "ledger.db")) as other, other:
                    other.execute("DELETE FROM batches WHERE id = 2")
            return index(ledger, *arguments)

        monkeypatch.setattr(Ledger, "index", look)

    yield arm
    monkeypatch.setattr(Ledger, "index", index)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_job_whose_batch_was_dropped_after_it_was_counted_keeps_its_good_output(
    asyncrun: Command, folder: Path, server: FakeServer, dropping: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    output = f"out.{ending}"
    write_job(folder, server, output)
    assert asyncrun("run").code == 0
    good = (folder / output).read_bytes()
    with closing(sqlite3.connect(folder / ".asyncrun/ledger.db")) as connection, connection:
        connection.execute("DELETE FROM outputs")  # so that it is written again
    with monkeypatch.context():
        dropping(2)
        answer = asyncrun("run")
    assert answer.code == 74, answer
    assert f"{output} would have {ITEMS - BATCH} rows, and {ITEMS} items are done" in answer.err
    assert (folder / output).read_bytes() == good
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert asyncrun("run").code == 0
    assert (folder / output).read_bytes() == good


def test_an_export_of_damaged_rows_keeps_the_file_that_is_there(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    write_job(folder, server, "out.jsonl")
    assert asyncrun("run").code == 0
    assert asyncrun("export", "jobs.yaml", "all", "-o", "rows.jsonl").code == 0
    good = (folder / "rows.jsonl").read_bytes()
    with closing(sqlite3.connect(folder / ".asyncrun/ledger.db")) as connection, connection:
        connection.execute("UPDATE batches SET keys = zeroblob(length(keys)) WHERE id = 2")
    answer = asyncrun("export", "jobs.yaml", "all", "-o", "rows.jsonl")
    assert answer.code == 74
    assert "`asyncrun run` sends what is lost again" in answer.err
    assert (folder / "rows.jsonl").read_bytes() == good
    assert asyncrun("run").code == 0
    assert asyncrun("export", "jobs.yaml", "all", "-o", "rows.jsonl").code == 0
    assert (folder / "rows.jsonl").read_bytes() == good


def test_rows_that_went_to_standard_output_are_proved_too(
    asyncrun: Command, folder: Path, server: FakeServer, dropping: Callable[[int], None]
) -> None:
    write_job(folder, server, "-")
    assert asyncrun("run").code == 0
    dropping(2)
    answer = asyncrun("run")
    assert answer.code == 74, answer
    assert f"- would have {ITEMS - BATCH} rows, and {ITEMS} items are done" in answer.err


def test_an_ingest_job_does_not_pass_over_a_document_whose_vectors_were_dropped(
    asyncrun: Command, folder: Path, server: FakeServer, dropping: Callable[[int], None]
) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
    shared = {"store": {"path": "index.db"}, "collection": "items", "embedder": embedder, "workers": 1}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [{"name": "fill", "kind": "ingest", "input": "items.jsonl", **shared}]}))
    dropping(2)
    answer = asyncrun("run")
    assert answer.code == 74, answer
    assert f"{ITEMS - 1} of {ITEMS} items have ended" in answer.err
    assert asyncrun("run").code == 0
