"""Parts of LlamaIndex that a job file names by class: a vector store, a reader."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

pytestmark = pytest.mark.needs("llama-index")
STORE = {"type": "llama-index", "path": "out/li.db", "options": {"class": "llama_index.core.vector_stores.SimpleVectorStore"}}


def write_jobs(folder: Path, store: dict[str, Any], **ask: Any) -> None:
    pets = [{"id": "cat", "text": "Cats purr.", "lang": "en"}, {"id": "dog", "text": "Dogs bark."}]
    fill = {"name": "fill", "kind": "ingest", "input": {"items": pets, "metadata": ["lang"]}, "store": store, "collection": "pets"}
    questions = {"name": "ask", "kind": "query", "input": {"items": ["Which animal purrs?"]}, "store": store, "collection": "pets"}
    jobs = [fill, {**questions, "needs": ["fill"], "top_k": 1, "output": "answers.jsonl", **ask}]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def test_a_vector_store_is_filled_asked_and_mended(asyncrun: Command, tmp_path: Path) -> None:
    write_jobs(tmp_path, STORE)
    assert asyncrun("run").code == 0
    [answer] = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    [hit] = answer["hits"]
    assert (hit["doc_id"], hit["text"], hit["metadata"]) == ("cat", "Cats purr.", {"lang": "en"})
    [plan, _] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["new"], plan["unchanged"], plan["requests"]) == (0, 2, 0)
    nodes = tmp_path / "out" / "li.db.pets.json"
    nodes.unlink()
    mended = asyncrun("run", "--refresh", "ask")
    assert mended.code == 0
    assert "lost all 2 chunks of the collection 'pets'" in mended.err
    assert len(json.loads(nodes.read_text())["embedding_dict"]) == 2


@pytest.mark.parametrize(
    ("store", "ask", "sentence"),
    [
        ({"type": "llama-index"}, {}, "store.options: missing"),
        ({**STORE, "schema": "x"}, {}, "the store type llama-index does not use it"),
        ({**STORE, "options": {"class": "no.Where"}}, {}, "there is no class 'no.Where'"),
        (STORE, {"search": "hybrid"}, "has no hybrid search"),
        (STORE, {"filter": "lang = 'en'"}, "without a filter"),
    ],
)
def test_what_it_cannot_do_is_told(asyncrun: Command, tmp_path: Path, store: dict[str, Any], ask: dict[str, Any], sentence: str) -> None:
    write_jobs(tmp_path, store, **ask)
    answer = asyncrun("run")
    assert answer.code in (1, 2)
    assert sentence in answer.err + answer.out


class TestReader:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "cat.txt").write_text("Cats purr.")
        (tmp_path / "docs" / "dog.txt").write_text("Dogs bark.")
        return tmp_path

    def write(self, folder: Path, options: dict[str, Any], **keys: Any) -> None:
        given = {"format": "llama-index", "options": options, **keys}
        job = {"name": "n", "kind": "embed", "input": given, "output": "out.jsonl"}
        (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]

    def test_real_files_are_loaded_with_metadata_and_an_id_of_their_fields(self, asyncrun: Command, folder: Path) -> None:
        options = {"class": "llama_index.core.SimpleDirectoryReader", "args": {"input_dir": str(folder / "docs")}}
        self.write(folder, options, id="{file_name}", metadata=["file_type"])
        assert asyncrun("run").code == 0
        found = {row["id"]: (row["text"], row["metadata"], len(row["embedding"])) for row in self.rows(folder)}
        assert found["cat.txt"] == ("Cats purr.", {"file_type": "text/plain"}, 384)
        assert found["dog.txt"][0] == "Dogs bark."
        [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
        assert (plan["items"], plan["new"]) == (2, 0)
        (folder / "docs" / "cat.txt").write_text("Cats sleep.")
        summary = asyncrun("run", "--json").documents[-1]
        assert (summary["ok"], summary["cached"]) == (2, 1)

    @pytest.fixture
    def listed(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        from llama_index.core import Document
        from llama_index.core.readers.base import BaseReader

        class Listed(BaseReader):
            loads = 0

            def lazy_load_data(self, texts: list[str], fail: str = "") -> Any:
                type(self).loads += 1
                for number, text in enumerate(texts):
                    yield Document(text=text, id_=f"d{number}", metadata={"n": number})
                    yield Document(text=text, metadata={"odd": {1, 2}})
                if fail:
                    raise OSError(fail)

        module = types.ModuleType("listed")
        module.Listed = Listed  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "listed", module)
        return {"class": "listed.Listed", "load": {"texts": ["a", "b"]}}

    def test_it_is_asked_once_keeps_ids_and_a_bad_document_is_set_aside(
        self, asyncrun: Command, folder: Path, listed: dict[str, Any]
    ) -> None:
        self.write(folder, listed, metadata=["n"])
        answer = asyncrun("run", "--json")
        assert answer.code == 3, answer.err
        assert [(row["id"], row["text"], row["metadata"]) for row in self.rows(folder)] == [("d0", "a", {"n": 0}), ("d1", "b", {"n": 1})]
        assert sys.modules["listed"].Listed.loads == 1
        failed = asyncrun("failed", "--json").documents[0]["items"]
        assert [(item["id"], item["reason"]) for item in failed] == [("Listed#2", "bad_record"), ("Listed#4", "bad_record")]

    def test_a_reader_that_raises_fails_the_job_with_its_words(self, asyncrun: Command, folder: Path, listed: dict[str, Any]) -> None:
        self.write(folder, {**listed, "load": {"texts": ["a"], "fail": "the disk is gone"}})
        answer = asyncrun("run")
        assert answer.code == 74
        assert "Listed cannot load: the disk is gone" in answer.err
        assert not (folder / "out.jsonl").exists()

    @pytest.mark.parametrize(
        ("options", "keys", "sentence"),
        [
            ({}, {}, "no options.class"),
            ({"class": "llama_index.core.SimpleDirectoryReader", "load": {"api_key": "k"}}, {}, "options.load.api_key would be kept"),
            ({"class": "no.Where"}, {}, "there is no class 'no.Where'"),
            ({"class": "llama_index.core.MockEmbedding"}, {}, "is no reader of LlamaIndex"),
            ({"class": "llama_index.core.SimpleDirectoryReader"}, {"path": "docs/*.md"}, "a reader of LlamaIndex has arguments of its own"),
            ({"class": "llama_index.core.SimpleDirectoryReader"}, {"format": "text", "path": "docs/*.md"}, "options without format"),
            (
                {"class": "llama_index.core.SimpleDirectoryReader", "args": {"input_dir": "nowhere"}},
                {},
                "SimpleDirectoryReader cannot be made",
            ),
        ],
    )
    def test_mistakes_are_told(self, asyncrun: Command, folder: Path, options: dict[str, Any], keys: dict[str, Any], sentence: str) -> None:
        self.write(folder, options, **keys)
        answer = asyncrun("run")
        assert answer.code == 2
        assert sentence in answer.err
