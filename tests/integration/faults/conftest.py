"""One job of 24 texts, run from the command line against a server that does wrong, and again when it does not any more."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blockbuster import blockbuster_ctx

from asyncrun.cli import main
from asyncrun.testing.vectors import vector_of

TEXTS = [f"text {number}" for number in range(24)]


@dataclass
class Job:
    """The job and its folder; `run` leaves an exit code and what was said, on stdout as documents."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    texts: list[str] = field(default_factory=lambda: list(TEXTS))
    out: str = ""
    err: str = ""

    def write(self, base_url: str, **embedder: Any) -> None:
        lines = (json.dumps({"id": f"t{number}", "text": text}) + "\n" for number, text in enumerate(self.texts))
        (self.folder / "texts.jsonl").write_text("".join(lines))
        told = {"provider": "openai", "model": "m", "base_url": base_url, "batch": {"max_items": 6}, "space": "mine", **embedder}
        job = {"name": "texts", "kind": "embed", "input": "texts.jsonl", "output": "vectors.jsonl", "embedder": told}
        (self.folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))

    def run(self, base_url: str, *flags: str, **embedder: Any) -> int:
        self.write(base_url, **embedder)
        self.monkeypatch.setattr(sys, "argv", ["asyncrun", "run", "--json", *flags])
        self.capsys.readouterr()
        code: Any = 0
        try:
            with blockbuster_ctx("asyncrun", excluded_modules=["asyncrun.testing"]):
                main()
        except SystemExit as ending:
            code = ending.code
        self.out, self.err = self.capsys.readouterr()
        return int(code or 0)

    @property
    def summary(self) -> dict[str, Any]:
        return self.documents[-1]

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def failed(self) -> dict[str, str]:
        """The reason of every failed item, by its id."""
        return {document["id"]: document["reason"] for document in self.documents if document["type"] == "item_failed"}

    def has_rows_of(self, texts: Sequence[str]) -> bool:
        """Say whether the output has a row for each of these texts, in order, each with the text's own vector, and no other row."""
        output = self.folder / "vectors.jsonl"
        rows = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
        right = all((np.array(row["embedding"], np.float32) == vector_of(row["text"])).all() for row in rows)
        return right and [row["text"] for row in rows] == list(texts)

    def is_whole(self) -> bool:
        """Say whether every text has its own vector."""
        return self.has_rows_of(self.texts)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Job:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Job(tmp_path, monkeypatch, capsys)
