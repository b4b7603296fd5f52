"""Our own readers, writers, chunkers, exporters and handlers keep what every one of them promises."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.callbacks import BaseCallbackHandler, LlamaDebugHandler, TokenCountingHandler
from asyncrun.grammar.file_formats import ids_path
from asyncrun.registry import BUILT_IN, load
from asyncrun.testing.chunkers import ChunkerContract, OpenChunker
from asyncrun.testing.exporters import ExporterContract
from asyncrun.testing.handlers import HandlerContract
from asyncrun.testing.readers import ReaderContract
from asyncrun.testing.writers import OpenWriter, WriterContract
from tests.documents import docx_of, paragraph, pdf_of, text_page

FILES = {
    **dict.fromkeys(("text", "markdown", "lines"), b"one\n\ntwo\n"),
    "jsonl": b'{"text": "one"}\n{"text": "two"}\n',
    "ipynb": b'{"cells": [{"cell_type": "markdown", "source": "one"}], "metadata": {}}',
    "eml": b"Subject: one\n\ntwo\n",
    "mbox": b"From x\nSubject: one\n\ntwo\n\nFrom y\nSubject: two\n\nthree\n",
    "html": b"<h1>one</h1><p>two",
    "csv": b"id,text\na,one\nb,two\n",
    "tsv": b"id\ttext\na\tone\n",
    "docx": docx_of(paragraph("one")),
    "kreuzberg": rb"{\rtf1\ansi one\par two}",
    "pdf": pdf_of([text_page("one"), text_page("two")]),
}


NEEDS = {"kreuzberg": pytest.mark.needs("kreuzberg")}


@pytest.fixture(params=[pytest.param(name, marks=NEEDS.get(name, ())) for name in sorted(BUILT_IN["readers"])])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestReaders(ReaderContract):
    @pytest.fixture
    def reader(self, form: str) -> Any:
        return load("readers", form)

    @pytest.fixture
    def path(self, form: str, tmp_path: Path) -> Path:
        path = tmp_path / "input.file"
        if form == "parquet":
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.table({"text": ["one", "two"]}), path)
        else:
            path.write_bytes(FILES[form])
        return path


class TestJsonl(WriterContract):
    name = "jsonl"

    @pytest.fixture
    def open_writer(self) -> OpenWriter:
        return load("writers", self.name)

    def ids_in(self, path: Path) -> list[str]:
        return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


class TestCsv(TestJsonl):
    name = "csv"

    def ids_in(self, path: Path) -> list[str]:
        with path.open(encoding="utf-8", newline="") as file:
            return [row["id"] for row in csv.DictReader(file)]


class TestNpy(TestJsonl):
    name = "npy"

    def ids_in(self, path: Path) -> list[str]:
        ids = ids_path(path).read_text(encoding="utf-8").splitlines()
        assert len(np.load(path)) == len(ids)
        return ids


class TestParquet(TestJsonl):
    name = "parquet"

    def ids_in(self, path: Path) -> list[str]:
        from pyarrow import parquet

        return parquet.read_table(path)["id"].to_pylist()


class TestCutters(ChunkerContract):
    @pytest.fixture(params=sorted(BUILT_IN["chunkers"].keys() - {"none"}))
    def open_chunker(self, request: pytest.FixtureRequest) -> OpenChunker:
        return load("chunkers", request.param)


class TestWholeTexts(ChunkerContract):
    keeps_to_size = False

    @pytest.fixture
    def open_chunker(self) -> OpenChunker:
        return load("chunkers", "none")


@pytest.fixture(params=sorted(BUILT_IN["exporters"]))
def exporter(request: pytest.FixtureRequest) -> Any:
    return load("exporters", request.param)


class TestExporters(ExporterContract):
    @pytest.fixture
    def exporter(self, exporter: Any) -> Any:
        return exporter


class TestDebugHandler(HandlerContract):
    @pytest.fixture
    def handler(self) -> BaseCallbackHandler:
        return LlamaDebugHandler(print_trace_on_end=False)


class TestTokenCounter(HandlerContract):
    @pytest.fixture
    def handler(self) -> BaseCallbackHandler:
        return TokenCountingHandler()


def test_every_built_in_name_has_a_suite() -> None:
    writers = {each.name for each in (TestJsonl, TestCsv, TestNpy, TestParquet)}
    assert writers == BUILT_IN["writers"].keys()
    assert FILES.keys() | {"parquet"} == BUILT_IN["readers"].keys()
