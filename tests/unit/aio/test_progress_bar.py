import asyncio
import contextlib
import gc
import logging
from typing import Any

import pytest

from asyncrun import registry
from asyncrun.aio.jobs import run_jobs
from asyncrun.ports import Progress
from asyncrun.results import Counts

from .conftest import at_once, double, fail


class JobCounters(Progress):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def task_started(self, task: str, total: int | None) -> None:
        self.calls.append(("started", task, total))

    def advance(self, task: str, counts: Counts) -> None:
        self.calls.append(counts.items)

    def close(self) -> None:
        self.calls.append("closed")


@pytest.mark.asyncio
async def test_progress_counts_the_jobs_and_is_told_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = JobCounters()
    monkeypatch.setattr("asyncrun.aio.progress_bar.INTERVAL", 0)
    monkeypatch.setattr(registry, "load", lambda port, name: {("progress", "bar"): lambda: counters}[port, name])
    await run_jobs([at_once(number) for number in range(1_000)], show_progress=True, desc="Embedding")
    assert counters.calls[0] == ("started", "Embedding", 1_000)
    assert counters.calls[-1] == "closed"
    counted = [call for call in counters.calls if isinstance(call, int)]
    assert sum(counted) == 1_000
    assert len(counted) < 100


@pytest.mark.asyncio
async def test_cancelling_the_caller_while_the_bar_is_opened_leaves_no_coroutine_open() -> None:
    calling = asyncio.create_task(run_jobs([double(1), double(2)], show_progress=True))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    gc.collect()


@pytest.mark.asyncio
@pytest.mark.parametrize(("error", "told"), [(None, ["finished"]), (LookupError(), [])])
async def test_a_call_that_fails_is_not_shown_as_one_that_went_well(
    error: Exception | None, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finished(JobCounters):
        def task_finished(self, task: str, result: object) -> None:
            self.calls.append("finished")

    shown = Finished()
    monkeypatch.setattr(registry, "load", lambda port, name: lambda: shown)
    with pytest.raises(LookupError) if error else contextlib.nullcontext():
        await run_jobs([double(1), *([fail(error)] if error else [])], show_progress=True)
    assert [call for call in shown.calls if call == "finished"] == told
    assert shown.calls[-1] == "closed"


class Broken(JobCounters):
    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        setattr(self, where, self._break)

    def _break(self, *_: object) -> None:
        self.calls.append(self._where)
        raise OSError("no terminal")


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["open", "task_started", "advance", "task_finished", "close"])
async def test_a_progress_that_raises_is_switched_off_and_reported_once(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(port: str, name: str) -> Any:
        if where == "open":
            raise ImportError(name)
        return lambda: Broken(where)

    monkeypatch.setattr(registry, "load", load)
    with caplog.at_level(logging.WARNING):
        assert await run_jobs([double(number) for number in range(5)], show_progress=True) == [0, 2, 4, 6, 8]
        error = LookupError()
        with pytest.raises(LookupError) as caught:
            await run_jobs([double(1), fail(error)], workers=1, show_progress=True)
        assert caught.value is error
    # A call that fails is not told as finished.
    times = 1 if where == "task_finished" else 2
    assert [record.message[:24] for record in caplog.records] == ["progress is switched off"] * times
