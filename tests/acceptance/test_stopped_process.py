"""A run that is stopped with Ctrl-Z, or by a machine that sleeps, goes on where it was: nothing is sent twice, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line

from .conftest import finish, start, wait_until

ITEMS, BATCH = 96, 2


def test_a_run_that_is_stopped_and_continued_sends_nothing_twice_and_writes_the_same_bytes(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(ITEMS)]
    with FakeServer().in_thread() as server:
        # From a quarter on an answer takes long, until the run is stopped.
        server.latency = lambda _: 0.3 if len(server.sent_texts) > ITEMS // 4 else 0.02
        (tmp_path / "items.jsonl").write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
        embedder = {
            "provider": "openai",
            "model": "m",
            "base_url": server.base_url,
            "batch": {"max_items": BATCH},
            "retry": {"attempts": 1},
        }
        job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 4}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        process = start(tmp_path)
        try:
            wait_until(lambda: len(server.sent_texts) > ITEMS // 4, process)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            # Longer than any answer that is under way takes: all of them have come when the run goes on.
            time.sleep(0.5)
            server.latency = 0.02
            sent = len(server.sent_texts)
            process.send_signal(signal.SIGCONT)
            code, said = finish(process)
        finally:
            process.kill()
    assert (code, ITEMS // 4 < sent < ITEMS) == (0, True), said
    assert sorted(server.sent_texts) == sorted(texts)
    rows = ({"id": text, "embedding": vector_of(text, 8), "text": text, "metadata": {}} for text in texts)
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(map(json_line, rows))
