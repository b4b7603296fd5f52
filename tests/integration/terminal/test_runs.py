"""Whole runs on a pseudo terminal: what they wait for, a piped answer, and a window that is closed."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Open = Callable[..., Any]
ITEMS = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(ITEMS)))
    with FakeServer(latency=0.05).in_thread() as running:
        write_job(tmp_path, running)
        yield running


def write_job(folder: Path, server: FakeServer, **limits: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}, "limits": limits}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 1}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def test_a_run_that_waits_for_a_limit_says_so_and_counts_down(open_terminal: Open, server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server, requests_per_minute=2)
    terminal = open_terminal("-m", "asyncrun", "run", columns=80, cwd=tmp_path)
    foot = terminal.until(lambda lines: re.search(r"waiting for rate limit \d", lines[-1]))[-1]
    assert foot.startswith("notes running")
    assert "/12" in foot
    first = foot.split("rate limit ")[1]
    assert terminal.until(lambda lines: lines[-1].split("rate limit ")[-1] != first)[-1] != foot
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() in (130, -signal.SIGINT)
    assert "Next: Run `asyncrun run jobs.yaml` again later: finished items are not sent again." in " ".join(
        " ".join(terminal.lines).split()
    )


def test_a_piped_answer_is_clean_while_the_terminal_has_the_bars(open_terminal: Open, server: FakeServer, tmp_path: Path) -> None:
    with (tmp_path / "answer").open("wb") as answer:
        terminal = open_terminal("-m", "asyncrun", "run", cwd=tmp_path, stdout=answer)
        assert terminal.end() == 0
    told = (tmp_path / "answer").read_bytes()
    assert b"\x1b" not in told
    assert b"Succeeded: all 12 items done" in told
    assert b"\x1b" in terminal.received
    assert terminal.lines == [line for line in terminal.lines if line.startswith("notes succeeded")]


def test_json_on_a_terminal_is_lines_without_bars(open_terminal: Open, server: FakeServer, tmp_path: Path) -> None:
    terminal = open_terminal("-m", "asyncrun", "run", "--json", cwd=tmp_path, columns=2000)
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.received
    assert [json.loads(line)["type"] for line in terminal.received.splitlines()][-1] == "summary"


def test_a_quiet_run_leaves_a_terminal_as_it_was(open_terminal: Open, server: FakeServer, tmp_path: Path) -> None:
    terminal = open_terminal("-m", "asyncrun", "run", "--quiet", cwd=tmp_path)
    assert terminal.end() == 0
    assert terminal.received == b""


def test_a_run_whose_window_is_closed_ends_as_hung_up_and_goes_on_the_next_time(
    open_terminal: Open, server: FakeServer, tmp_path: Path
) -> None:
    server.latency = lambda request: 1.0 if request.number > 2 else 0.05
    terminal = open_terminal("-m", "asyncrun", "run", cwd=tmp_path)
    terminal.until(lambda lines: "notes running" in lines[-1] and " 0/12" not in lines[-1])
    terminal.vanish()
    assert terminal.process.wait(timeout=60) in (129, -signal.SIGHUP)
    assert 0 < len(server.sent_texts) < ITEMS
    server.latency = 0.0
    assert open_terminal("-m", "asyncrun", "run", cwd=tmp_path).end() == 0
    assert sorted(server.sent_texts) == sorted(f"text {n}" for n in range(ITEMS))


def test_a_run_that_does_not_care_for_its_terminal_goes_on_without_it(open_terminal: Open, server: FakeServer, tmp_path: Path) -> None:
    """As below `nohup`: the hang-up is ignored, and whatever is written from then on fails."""
    ignoring = tmp_path / "ignoring.py"
    ignoring.write_text(
        "import signal, sys, runpy; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv = ['asyncrun', 'run'];"
        "runpy.run_module('asyncrun', run_name='__main__', alter_sys=True)"
    )
    terminal = open_terminal(str(ignoring), cwd=tmp_path)
    terminal.until(lambda lines: "notes running" in lines[-1])
    terminal.vanish()
    assert terminal.process.wait(timeout=60) == 0
    rows = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(rows) == ITEMS
