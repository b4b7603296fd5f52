"""Interrupt the kernel of a notebook in cells that run jobs, each executed twice, in the working directory; print what was seen as JSON."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from asyncrun.app.recorded_runs import read_trace
from asyncrun.testing.server import FakeServer

TEXTS, WORKERS = 60, 8
PREPARE = """
import asyncio
import asyncrun
from asyncrun.jobs import EmbedJob


def job(name):
    embedder = {{"provider": "openai", "model": "m", "api_key": "k", "base_url": "{url}", "batch": {{"max_items": 1}}}}
    texts = [f"{{name}} {{number}}" for number in range({texts})]
    return EmbedJob(name=name, input={{"items": texts}}, output=f"{{name}}.npy", embedder=embedder, workers={workers})
"""
CELLS = (
    'report = await asyncrun.arun(job("awaited"), show_progress=True)',
    'report = asyncrun.run(job("synchronous"), show_progress=True)',
    # There the kernel has another handler of the signal.
    'await asyncio.sleep(0)\nreport = asyncrun.run(job("mixed"), show_progress=True)',
)


def execute(client: Any, code: str) -> tuple[str, list[dict[str, str]]]:
    """Run a cell; return `ok` or the error's name, and what each output has shown last, in its forms."""
    outputs: dict[str, dict[str, str]] = {}

    def keep(message: dict[str, Any]) -> None:
        content = message["content"]
        if "display_id" in content.get("transient", {}):
            outputs[content["transient"]["display_id"]] = content["data"]

    reply = client.execute_interactive(code, output_hook=keep, timeout=60)["content"]
    return reply.get("ename", reply["status"]), list(outputs.values())


def interrupt_and_repeat(manager: Any, client: Any, server: FakeServer, cell: str) -> dict[str, Any]:
    """Interrupt a cell after a third of its requests, and execute it again."""
    before = len(server.requests)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while len(server.requests) - before <= TEXTS // 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        manager.interrupt_kernel()

    user = threading.Thread(target=interrupt)
    user.start()
    interrupted = execute(client, cell)
    user.join()
    run, _ = read_trace(Path(".asyncrun"), "latest")
    sent = len(server.requests) - before
    repeated = execute(client, cell)
    return {
        "interrupted": interrupted,
        "run": [run.status, run.exit_code],
        "sent": sent,
        "repeated": repeated,
        "sent in all": len(server.requests) - before,
    }


with FakeServer(latency=0.05).in_thread() as server:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        execute(client, PREPARE.format(url=server.base_url, texts=TEXTS, workers=WORKERS))
        print(json.dumps([interrupt_and_repeat(manager, client, server, cell) for cell in CELLS]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
