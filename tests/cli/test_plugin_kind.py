"""A kind of job that a plugin brings, `examples/near_duplicates`: it is planned, run, gone on with and exported as a built-in one."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "near_duplicates"
SOURCE = EXAMPLE / "asyncrun_near_duplicates.py"
TEXTS = {"a": "a red apple", "b": "the moon at night", "c": "a red apple", "d": "rain", "e": "the moon at night"}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as `pip install` leaves it: its entry points are those of its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / "site" / "asyncrun_near_duplicates-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items()) for group, points in groups)
    )
    (tmp_path / "site" / SOURCE.name).write_text(SOURCE.read_text())
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop(SOURCE.stem, None)  # Each test has one of its own.


@pytest.fixture
def folder(plugin: None, tmp_path: Path, server: FakeServer) -> Path:
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in TEXTS.items()))
    write_job(tmp_path, server)
    return tmp_path


def write_job(folder: Path, server: FakeServer, **keys: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
    job = {"name": "twins", "kind": "near-duplicates", "input": "notes.jsonl", "output": "twins.jsonl", "embedder": embedder, "workers": 1}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, **keys}]}))


def rows(path: Path) -> dict[str, list[str]]:
    return {row["id"]: [each["id"] for each in row["duplicates"]] for row in map(json.loads, path.read_text().splitlines())}


def test_it_is_planned_and_run_and_a_second_run_sends_nothing(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["items"], plan["new"], plan["requests"]) == (5, 5, 3)
    assert server.requests == []
    assert asyncrun("run").code == 0
    assert len(server.requests) == 3
    assert rows(folder / "twins.jsonl") == {"a": ["c"], "b": ["e"], "c": ["a"], "d": [], "e": ["b"]}
    before = (folder / "twins.jsonl").stat().st_ino
    summary = asyncrun("run", "--json").documents[-1]
    assert (len(server.requests), summary["ok"], summary["cached"]) == (3, 5, 5)
    assert summary["jobs"][0]["kind"] == "near-duplicates"
    assert (folder / "twins.jsonl").stat().st_ino == before


def test_another_threshold_writes_the_rows_anew_and_sends_nothing(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    assert asyncrun("run").code == 0
    write_job(folder, server, threshold=0.0001)
    assert asyncrun("run").code == 0
    assert len(server.requests) == 3
    assert all(len(found) >= 1 for found in rows(folder / "twins.jsonl").values())


def test_it_goes_on_where_it_was_stopped_and_what_is_done_is_exported(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    server.faults.append(error(401, "no", when=lambda request: "rain" in request.texts, times=1))
    assert asyncrun("run").code == 77
    assert not (folder / "twins.jsonl").exists()
    sent = len(server.requests)
    assert asyncrun("export", "jobs.yaml", "twins", "-o", "now.jsonl").code in (0, 3)
    assert rows(folder / "now.jsonl") == {"a": ["c"], "b": ["e"], "c": ["a"], "e": ["b"]}
    assert asyncrun("run").code == 0
    assert len(server.requests) == sent + 1
    assert rows(folder / "twins.jsonl") == {"a": ["c"], "b": ["e"], "c": ["a"], "d": [], "e": ["b"]}


def test_a_mistake_in_its_own_keys_is_told_with_its_place(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    write_job(folder, server, threshold=2)
    assert asyncrun("validate").code == 2
    assert "jobs[0].threshold" in asyncrun("validate").err
    write_job(folder, server, treshold=0.9)
    assert "did you mean 'threshold'?" in asyncrun("validate").err


def test_its_vectors_are_kept_by_clean(asyncrun: Command, folder: Path, server: FakeServer) -> None:
    assert asyncrun("run").code == 0
    assert asyncrun("clean", "--json").documents[0]["spaces"] == []
    assert asyncrun("run").code == 0
    assert len(server.requests) == 3


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("near_duplicates_of_this_test", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_nearest_comes_first() -> None:
    vectors = {"a": [1, 0], "b": [1, 0.3], "c": [3, 0.01], "d": [0, 1]}
    blocks = [[(SimpleNamespace(id=name), np.array(vector, dtype=np.float32)) for name, vector in vectors.items()]]
    found = {row["id"]: [each["id"] for each in row["duplicates"]] for row in load_example().find_duplicates(blocks, 0.9)}
    assert found == {"a": ["c", "b"], "b": ["c", "a"], "c": ["a", "b"], "d": []}
    assert list(load_example().find_duplicates([], 0.9)) == []


def test_it_uses_nothing_private() -> None:
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asyncrun"):
            module = importlib.import_module(str(node.module))
            public = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
            assert {alias.name for alias in node.names} <= set(public), node.module


@pytest.mark.parametrize("source", ["", "raise RuntimeError('no GPU')", "import nowhere_installed"], ids=["empty", "raises", "lacks"])
def test_a_kind_that_is_broken_ends_its_own_jobs_alone(
    asyncrun: Command, folder: Path, server: FakeServer, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "site" / SOURCE.name).write_text(source)
    monkeypatch.delitem(sys.modules, SOURCE.stem, raising=False)
    importlib.invalidate_caches()
    broken, whole = json.loads((folder / "jobs.yaml").read_text())["jobs"][0], {"output": "whole.jsonl", "kind": "embed", "name": "whole"}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [broken, {**broken, **whole}]}))
    assert asyncrun("validate").code == 0
    assert asyncrun("run", "whole").code == 0
    assert asyncrun("export", "jobs.yaml", "whole", "-o", "now.jsonl").code == 0
    ended = asyncrun("run")
    assert ended.code == 2
    assert "the plugin 'near-duplicates' of asyncrun-near-duplicates cannot be imported" in ended.err


def test_a_kind_without_a_model_may_call_its_keys_as_others_do(
    asyncrun: Command, folder: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"llm": "small", "chunk": {"by": "mood"}, "threshold": 1}
    (folder / "site" / SOURCE.name).write_text("def NEAR_DUPLICATES(job, builder):\n    raise ValueError(sorted(job.options))\n")
    monkeypatch.delitem(sys.modules, SOURCE.stem, raising=False)
    importlib.invalidate_caches()
    write_job(folder, server, **own)
    assert asyncrun("validate").code == 0
    assert "['chunk', 'llm', 'threshold']" in asyncrun("run").err
