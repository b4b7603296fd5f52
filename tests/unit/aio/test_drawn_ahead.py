"""An iterator read ahead: one step, in order, with its error in its turn."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from asyncrun.aio.drawn_ahead import drawn_ahead


@pytest.mark.asyncio
async def test_the_next_item_is_made_while_one_is_worked_on():
    second = threading.Event()

    def items():
        yield "first"
        second.set()
        yield "second"

    async with aclosing(drawn_ahead(items())) as drawn:
        assert await anext(drawn) == "first"
        assert await asyncio.to_thread(second.wait, 60)
        assert [item async for item in drawn] == ["second"]


@pytest.mark.asyncio
async def test_no_more_than_one_is_made_ahead():
    made = []

    def items():
        for number in range(5):
            made.append(number)
            yield number

    async with aclosing(drawn_ahead(items())) as drawn:
        async for number in drawn:
            assert len(made) <= number + 2
    assert made == [0, 1, 2, 3, 4]


@pytest.mark.asyncio
async def test_an_error_comes_behind_what_was_before_it():
    def items():
        yield "first"
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        async for item in drawn_ahead(items()):
            seen.append(item)  # noqa: PERF401 - what came before it breaks counts
    assert seen == ["first"]


@pytest.mark.asyncio
async def test_who_leaves_early_hears_nothing_of_what_was_under_way():
    heard, go_on = [], threading.Event()

    def items():
        yield "first"
        assert go_on.wait(60)
        raise ValueError("nobody's")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    async with aclosing(drawn_ahead(items())) as drawn:
        await anext(drawn)
    go_on.set()
    await loop.shutdown_default_executor()
    await asyncio.sleep(0)
    assert heard == []
