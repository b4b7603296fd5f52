"""Two job files that name one output: the last to write it has it, and the other one's next run makes it again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.writers.jsonl import JsonlWriter

from .conftest import Command


def test_what_another_run_put_in_the_place_meanwhile_is_not_taken_for_the_own_output(
    asyncrun: Command, notes: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = JsonlWriter.commit

    def commit_and_another(self: JsonlWriter) -> os.stat_result:
        placed = commit(self)
        Path("others.jsonl").write_text("{}\n")
        Path("others.jsonl").replace("out.jsonl")
        return placed

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(JsonlWriter, "commit", commit_and_another)
        assert asyncrun("run").code == 0
    assert (notes / "out.jsonl").read_text() == "{}\n"
    assert asyncrun("run").code == 0
    assert len((notes / "out.jsonl").read_text().splitlines()) == len(server.sent_texts) == 2
    written = (notes / "out.jsonl").stat().st_mtime_ns
    assert asyncrun("run").code == 0
    assert (notes / "out.jsonl").stat().st_mtime_ns == written
