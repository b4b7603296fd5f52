"""What LlamaIndex tests of its `async_utils`, of ours, which is imported from the same place."""

from __future__ import annotations

import asyncio
import contextvars
import sys

import pytest

from asyncrun.async_utils import DEFAULT_NUM_WORKERS, asyncio_run, batch_gather, chunks, run_async_tasks, run_jobs


async def same(number: int) -> int:
    return number


async def failing() -> None:
    raise ValueError("it failed")


def test_a_last_batch_that_is_not_full_is_gathered_too() -> None:
    assert asyncio.run(batch_gather([same(number) for number in range(5)], batch_size=2)) == [0, 1, 2, 3, 4]


@pytest.mark.asyncio
async def test_context_variables_are_seen_where_a_loop_runs() -> None:
    variable = contextvars.ContextVar("variable", default="")
    variable.set("set outside")

    async def read() -> str:
        return variable.get()

    assert asyncio_run(read()) == "set outside"


@pytest.mark.parametrize("show_progress", [False, True])
def test_an_error_of_a_task_is_raised_with_progress_and_without(show_progress: bool) -> None:
    with pytest.raises(ValueError, match="it failed"):
        run_async_tasks([failing()], show_progress=show_progress)


def test_progress_that_cannot_be_shown_hinders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncrun.ui.progress_choice", None)
    assert run_async_tasks([same(1)], show_progress=True) == [1]


@pytest.mark.asyncio
async def test_at_most_the_default_number_of_jobs_runs_at_once() -> None:
    running = most = 0

    async def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    await run_jobs([job() for _ in range(20)])
    assert most == DEFAULT_NUM_WORKERS
    assert list(chunks("abc", 2)) == [("a", "b"), ("c", None)]
