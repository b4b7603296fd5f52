"""The way of a batch from a worker to the wire is short: few frames of ours, in few files, and nobody calls back up."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import asyncrun
from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.send_batches import send_all
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import BatchLimits
from asyncrun.ports import Progress
from asyncrun.records import InputType, Pending, text_key
from asyncrun.testing.server import FakeServer

PACKAGE = Path(asyncrun.__file__).parent
MOST_FRAMES = 14
MOST_FILES = 9


def own_frames() -> Iterator[str]:
    """Yield the frames of the package between the worker and here, the innermost first, as `file:function`."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            yield f"{path.relative_to(PACKAGE).as_posix()}:{frame.f_code.co_name}"
            if frame.f_code.co_name == "_work":
                return
        frame = frame.f_back  # type: ignore[assignment]


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What stood between the worker and the wire, the worker first, at each request."""
    seen: list[list[str]] = []
    send = aiohttp.ClientSession._request

    def noted(self: Any, *request: Any, **how: Any) -> Any:
        seen.append([*own_frames()][::-1])
        return send(self, *request, **how)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", noted)
    return seen


async def embed(folder: Path, texts: list[str]) -> None:
    """Have the texts embedded and kept, as a job has."""
    ledger = Ledger(folder / "ledger.db")
    context = JobContext("job", "jobs.yaml/job", ledger, StopRequest(), SystemClock(), CallbackManager())
    pending = [Pending(text_key(text), text, len(text)) for text in texts]
    try:
        async with FakeServer() as server, OpenAIEmbedding("m", base_url=server.base_url, batch=BatchLimits(max_items=4)) as embedder:
            ended = await send_all(
                pending,
                lambda batch, answer: None,
                embedder=embedder,
                input_type=InputType.DOCUMENT,
                counters=JobCounters(context, "embed", Progress()),
            )
    finally:
        await asyncio.to_thread(ledger.close)
    assert ended is None


@pytest.mark.asyncio
async def test_a_batch_goes_from_a_worker_to_the_wire_in_few_frames_of_few_files(tmp_path: Path, walks: list[list[str]]) -> None:
    await embed(tmp_path, [f"text {number}" for number in range(20)])
    assert len(walks) >= 5
    longest = max(walks, key=len)
    shown = "\n".join(longest)
    files = [frame.partition(":")[0] for frame in longest]
    assert longest[0].startswith("aio/"), shown
    assert len(longest) <= MOST_FRAMES, f"{len(longest)} frames:\n{shown}"
    assert len(set(files)) <= MOST_FILES, f"{len(set(files))} files:\n{shown}"
    # The endpoint is entered once more for each attempt; nobody else is called back.
    entered = Counter(file for file, _ in groupby(files))
    assert [file for file, times in entered.items() if times > 1] == ["endpoints/endpoint.py"], shown
    assert entered["endpoints/endpoint.py"] == 2, shown
