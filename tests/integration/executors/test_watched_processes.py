"""What is said and done in a process is told where the run is: a warning once, a process that is lost with three calls as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncrun.clock import SystemClock
from asyncrun.errors import WorkerLostError
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.executors.watched import WatchedExecutor
from asyncrun.testing.worker_parts import RehearsalPart


@pytest.mark.asyncio
async def test_a_process_is_heard_and_counted_and_lost_as_one_whatever_number_of_calls_were_in_it(tmp_path: Path) -> None:
    said: list[str] = []
    executor = WatchedExecutor(ProcessExecutor(1, slots_per_worker=3), SystemClock(), said.append)
    part = RehearsalPart(str(tmp_path))
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(executor.run(part, "complain", "no GPU") for _ in range(6)))
            [worker] = executor.use().workers
            calls = [executor.run(part, method) for method in ("hang", "hang", "die")]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert (await executor.run(part, "give_back", 1)).value == 1
    finally:
        await executor.aclose()
    assert [words.rpartition(": ")[2] for words in said] == ["no GPU"]
    assert worker.calls == 6
    assert 0 <= worker.ship <= worker.seconds
    assert [type(error) for error in ended] == [WorkerLostError] * 3
    assert (executor.use().lost_workers, executor.use().lost_calls, len(executor.use().workers)) == (1, 3, 2)
