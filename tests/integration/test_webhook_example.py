"""The example posts every event to a webhook, and neither a slow nor a missing one changes what the jobs return."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "webhook_handler.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook_handler", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_event_arrives_in_order(example: ModuleType) -> None:
    with example.Receiver() as receiver:
        asyncio.run(example.watched_jobs(receiver.url, 10))
    assert [event["type"] for event in receiver.events] == ["async_job"] * 10
    assert len({event["id"] for event in receiver.events}) == 10
    assert {event["parent"] for event in receiver.events} == {"root"}
    assert sorted(event["payload"]["index"] for event in receiver.events) == list(range(10))


def test_a_webhook_that_is_not_there_is_reported_once(example: ModuleType, caplog: pytest.LogCaptureFixture, unused_port: int) -> None:
    asyncio.run(example.watched_jobs(f"http://127.0.0.1:{unused_port}/", 10))
    assert [record.name for record in caplog.records if record.levelname == "WARNING"] == ["asyncrun.callbacks.async_handler"]
    assert "WebhookHandler is switched off: it raised ConnectError" in caplog.text


def test_it_runs_by_itself() -> None:
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=60, check=True)
    assert "it was told of 20 events" in done.stdout
    assert done.stderr == ""
