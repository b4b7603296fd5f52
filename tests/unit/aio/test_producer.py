"""What a piece of work tells comes out of a generator, with its error behind it; whoever stops reading stops the work."""

import asyncio
import signal
import threading
from contextlib import closing
from contextvars import ContextVar

import pytest

from asyncrun.aio.producer import produced, produced_in_thread

WHERE: ContextVar[str] = ContextVar("WHERE", default="outside")


class Work:
    """Tells two numbers, then ends, fails, or goes on until it is cancelled."""

    def __init__(self, error=None, *, endless=False):
        self.error = error
        self.endless = endless
        self.ended = threading.Event()
        self.seen = None

    async def __call__(self, tell):
        self.seen = WHERE.get()
        WHERE.set("inside")
        try:
            tell(1)
            tell(2)
            if self.endless:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)
            self.ended.set()


@pytest.mark.asyncio
async def test_all_that_was_told_comes_and_then_the_error():
    assert [number async for number in produced(Work(), int)] == [1, 2]
    numbers = []
    with pytest.raises(LookupError, match="gone"):
        async for number in produced(Work(LookupError("gone")), int):
            numbers += [number]
    assert numbers == [1, 2]


@pytest.mark.asyncio
async def test_the_work_sees_the_readers_context_and_does_not_change_it():
    work = Work()
    token = WHERE.set("reader")
    numbers = produced(work, int)
    async for _ in numbers:
        assert WHERE.get() == "reader"
    WHERE.reset(token)
    assert work.seen == "reader"


@pytest.mark.asyncio
async def test_a_generator_that_is_closed_or_whose_reader_is_cancelled_stops_the_work():
    closed = Work(endless=True)
    numbers = produced(closed, int)
    assert await anext(numbers) == 1
    await numbers.aclose()
    assert closed.ended.is_set()

    cancelled, second = Work(endless=True), asyncio.Event()

    async def read():
        async for number in produced(cancelled, int):
            if number == 2:
                second.set()

    reader = asyncio.create_task(read())
    await second.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert cancelled.ended.is_set()


@pytest.mark.asyncio
async def test_what_is_never_read_never_begins():
    work = Work()
    await produced(work, int).aclose()
    assert work.seen is None


@pytest.fixture(params=["no loop", "inside a loop", "in a thread"])
def call(request):
    """Call a function where there is no event loop, where one is running, and in a thread that is not the main one."""

    def called(function):
        if request.param == "no loop":
            return function()

        async def outer():
            return function() if request.param == "inside a loop" else await asyncio.to_thread(function)

        return asyncio.run(outer())

    return called


def test_without_await_all_that_was_told_comes_and_then_the_error(call):
    assert call(lambda: list(produced_in_thread(Work(), int))) == [1, 2]
    numbers = []

    def read():
        for number in produced_in_thread(Work(LookupError("gone")), int):
            numbers.extend([number])

    with pytest.raises(LookupError, match="gone"):
        call(read)
    assert numbers == [1, 2]


def test_without_await_a_generator_that_is_closed_stops_the_work(call):
    work = Work(endless=True)

    def read():
        numbers = produced_in_thread(work, int)
        first = next(numbers)
        numbers.close()
        return first

    assert call(read) == 1
    assert work.ended.is_set()
    assert [thread for thread in threading.enumerate() if thread.name == "produced"] == []


@pytest.mark.parametrize("endless", [False, True])
def test_without_await_the_loop_is_left_when_the_work_has_ended(endless):
    work, left = Work(endless=endless), []

    async def leave():
        left.append(work.ended.is_set())

    numbers = produced_in_thread(work, int, leave)
    assert [next(numbers), next(numbers)] == [1, 2]
    numbers.close()
    assert left == [True]


def test_without_await_the_context_is_the_readers_too():
    work = Work()
    token = WHERE.set("reader")
    try:
        assert [WHERE.get() for _ in produced_in_thread(work, int)] == ["reader"] * 2
    finally:
        WHERE.reset(token)
    assert work.seen == "reader"


@pytest.mark.asyncio
async def test_what_is_shown_is_made_when_it_is_read():
    shown = []
    numbers = produced(Work(), lambda number: shown.append(number) or number)
    assert await anext(numbers) == 1
    await asyncio.sleep(0)
    assert shown == [1]
    assert [number async for number in numbers] == shown[1:] == [2]


def test_an_interrupt_while_the_next_one_is_waited_for_stops_the_work():
    class Interrupting(Work):
        async def __call__(self, tell):
            tell(0)
            reading.wait(60)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await super().__call__(tell)

    work, reading = Interrupting(endless=True), threading.Event()
    with pytest.raises(KeyboardInterrupt), closing(produced_in_thread(work, int)) as numbers:
        for _ in numbers:
            reading.set()
    assert work.ended.is_set()
