"""Every command survives a closed stdout, a closed stderr and a full disk behind them; a signal is what the shell sees."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.stores import SqliteStore
from asyncrun.stores.interface import Collection
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP, cases, first

from .conftest import send_signal_twice, wait_until

COMMANDS = [
    *("--help", "run --help", "run", "run -v", "run --json", "embed notes.txt -o -", "embed notes.txt -o new.jsonl", "plan", "plan --json"),
    "generate notes.txt -o - -p {text} -m ollama/m --env-file models.env",
    *("validate", "doctor", "doctor --json", "failed", "failed --json", "retry", "retry --json", "export n -o -", "init fresh.yaml"),
    *("schema", "clean", "clean --json", "plugins", "trace", "trace show", "trace timeline", "trace slow", "trace errors", "trace diff"),
    *("trace html", "trace export --format json", "trace list", "trace list --json", "ledger", "ledger stats", "ledger stats --json"),
    *("ledger export --json -o kept.jsonl", "ledger import portable.jsonl", "cron", "cron list", "cron list --json", "cron remove one"),
    *("store list s.db", "store list s.db --json", "store stats s.db c", "store search s.db c one", "store search s.db c one --json"),
    *("store export s.db c -o -", "store export s.db c --json -o c.jsonl", "store copy s.db --to t.db"),
    *(
        "store copy s.db c --to t.db --json",
        "store rollback s.db --json",
        "store rollback s.db d",
    ),
    *("batches", "batches list --json", "batches cancel --all", "batches cancel --all --json"),
    *("cron print --at @daily", "cron print --at @daily --systemd", "cron add --at @daily --systemd --name two"),
]
"""Every command, so that it prints something on standard output and ends with 0."""
FULL = 74
STREAMS = {
    "as they should be": ("stdout", "stderr", 0),
    "a full stdout": ("full", "stderr", FULL),
    "a closed stdout": ("closed", "stderr", 0),
    "a stdout that nobody reads": ("gone", "stderr", 0),
    "a full stderr": ("stdout", "full", 0),
    "a closed stderr": ("stdout", "closed", 0),
}
"""Where standard output and standard error go, and the exit code."""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: FakeServer) -> Path:
    """A folder in which every command has something to say."""
    folder = tmp_path_factory.mktemp("streams")
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": embedder}
    fill = {**job, "name": "f", "kind": "ingest", "store": {"path": "s.db"}, "collection": "c"}
    del fill["output"]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job, fill]}))
    (folder / "notes.txt").write_text("a text")
    (folder / "models.env").write_text(f"OLLAMA_HOST={server.base_url.removesuffix('/v1')}\n")
    (folder / "models.env").chmod(0o600)
    for words in ("embed notes.txt -o x.jsonl -q", "run -q", "run -q", "ledger export -o portable.jsonl"):
        assert call(words, folder, "").returncode == 0, words
    with closing(SqliteStore(folder / "s.db")) as store:
        for name in ("d", "d@replaced"):
            store.open_collection(Collection(name, "a" * 32, 2))
    added = call("cron add --at @daily --systemd --name one", folder, "")
    assert added.returncode == 0, added.stderr
    return folder


def call(words: str, folder: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {shlex.quote(sys.executable)} -m asyncrun {words} {redirection}"
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60)


def call_each(commands: Sequence[str], places: Sequence[Path], streams: tuple[str, str, int]) -> list[int]:
    """Run each of the commands in a process and a folder of its own; return the exit codes."""
    out, err = (name if name in ("full", "closed", "gone") else None for name in streams[:2])
    cases = [
        {
            "words": words.split(),
            "folder": str(place),
            "stdout": out or str(place / "stdout.txt"),
            "stderr": err or str(place / "stderr.txt"),
        }
        for words, place in zip(commands, places, strict=True)
    ]
    # No crontab is touched: where there is no such program, the units of systemd are all there is.
    environ = {**os.environ, "PATH": str(places[0])}
    command = [sys.executable, str(Path(__file__).with_name("forked.py"))]
    ran = subprocess.run(command, input=json.dumps(cases), env=environ, capture_output=True, text=True, check=False, timeout=1000)
    assert ran.returncode == 0, ran.stderr
    codes: list[int] = json.loads(ran.stdout)
    return codes


TRIED = cases(STREAMS, "a full stdout", "a closed stderr")


@pytest.mark.parametrize("streams", TRIED.values(), ids=TRIED)
def test_every_command_survives_its_streams(folder: Path, tmp_path: Path, streams: tuple[str, str, int]) -> None:
    # Each of the commands with one of the streams at least.
    commands = COMMANDS if DEEP else COMMANDS[list(TRIED.values()).index(streams) :: len(TRIED)]
    places = [tmp_path / str(number) for number in range(len(commands))]
    for place in places:
        shutil.copytree(folder, place)
    codes = call_each(commands, places, streams)
    assert {words: code for words, code in zip(commands, codes, strict=True) if code != streams[2]} == {}
    told = {words: read(place / "stderr.txt") for words, place in zip(commands, places, strict=True)}
    for word in ("Traceback", "internal error", "Exception ignored", "Broken pipe"):
        assert {words: text for words, text in told.items() if word in text} == {}
    if streams[2] == FULL:
        assert {words: text for words, text in told.items() if "No space left on device" not in text} == {}
    elif streams[0] == "stdout":
        assert [words for words, place in zip(commands, places, strict=True) if not read(place / "stdout.txt")] == []


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_no_command_that_ends_by_itself_is_missing_from_the_list() -> None:
    from asyncrun.cli._app import build_app

    tree: Any = build_app()
    names = {f"{name} {below}" for name, command in tree.commands.items() for below in getattr(command, "commands", [])}
    names = names - {"trace serve"} | set(tree.commands)
    assert {name for name in names if not any(f"{words} ".startswith(f"{name} ") for words in COMMANDS)} == set()


@pytest.mark.parametrize("words", first(["run", "--version", "export n -o -"]))
def test_a_process_that_begins_with_such_streams_ends_with_the_same_codes(folder: Path, words: str) -> None:
    full = call(words, folder, ">/dev/full")
    assert (full.returncode, "No space left on device" in full.stderr, "Traceback" in full.stderr) == (FULL, True, False)
    closed = call(words, folder, ">&- 2>&-")
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "redirection"), first([("run nobody", "2>&-"), ("run --nonsense", "2>/dev/full"), ("plan nowhere.yaml", "2>&-")])
)
def test_a_mistake_is_2_also_where_it_cannot_be_told(folder: Path, words: str, redirection: str) -> None:
    assert call(words, folder, redirection).returncode == 2


@pytest.mark.parametrize("words", ["schema", "trace html"])
def test_a_reader_that_goes_away_is_no_error(folder: Path, words: str) -> None:
    ended = call(words, folder, "| head -c 1 >/dev/null")
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)


@pytest.mark.parametrize("stream", first(["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]))
def test_a_summary_for_a_stream_goes_there_and_the_file_behind_it_stays(folder: Path, stream: str) -> None:
    ended = call(f"run --summary-file {stream}", folder, ">> told.txt")
    assert ended.returncode == 0
    summary, *_, last = [line for line in (folder / "told.txt").read_text().splitlines() if line]
    assert json.loads(summary)["status"] == "succeeded"
    assert last.startswith("Nothing to do: 2 items unchanged")
    (folder / "told.txt").unlink()


def test_a_summary_for_a_pipe_or_a_device_leaves_it_as_it_is(folder: Path) -> None:
    ended = call("run -q --summary-file /dev/stdout", folder, "| cat")
    assert json.loads(ended.stdout)["exit_code"] == 0
    os.mkfifo(folder / "pipe")
    assert call("run -q --summary-file pipe", folder, "").returncode == 73
    assert (folder / "pipe").is_fifo()
    (folder / "pipe").unlink()
    assert call("run -q --summary-file /dev/full", folder, "").returncode == 74


@pytest.mark.parametrize(("number", "code"), first([(signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGTERM, 143)]))
def test_a_shell_sees_129_130_143_and_the_summary_says_so(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with FakeServer(latency=30).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        command = [sys.executable, "-m", "asyncrun", "run", "--json", "--summary-file", "summary.json"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: len(server.requests) > 0, process)
            send_signal_twice(process, number)
            told, _ = process.communicate(timeout=60)
    # As a shell counts: a process that dies by a signal ends with 128 and the signal's number.
    assert process.returncode == -number
    assert json.loads(told.splitlines()[-1])["exit_code"] == json.loads((tmp_path / "summary.json").read_text())["exit_code"] == code
