import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from asyncrun.aio.bridge import asyncio_run, run_then_leave
from asyncrun.errors import NestedLoopError

VARIABLE: ContextVar[str] = ContextVar("VARIABLE")
OTHER: ContextVar[str] = ContextVar("OTHER")


@pytest.fixture(params=["no loop", "inside a loop", "in a thread"])
def call(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], Any]:
    """Call a function where there is no event loop, where one is running, and in a thread that is not the main one."""

    def called(function: Callable[[], Any]) -> Any:
        if request.param == "no loop":
            return function()

        async def outer() -> Any:
            return function() if request.param == "inside a loop" else await asyncio.to_thread(function)

        return asyncio.run(outer())

    return called


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_the_result_comes_back(call: Callable[[Callable[[], Any]], Any]) -> None:
    assert call(lambda: asyncio_run(answer())) == 42


@pytest.mark.parametrize("fails", [False, True])
def test_what_belongs_to_the_loop_is_let_go_of_on_it(call: Callable[[Callable[[], Any]], Any], fails: bool) -> None:
    loops = []

    async def work() -> str:
        loops.append(asyncio.get_running_loop())
        if fails:
            raise LookupError("mine")
        return "done"

    async def leave() -> None:
        loops.append(asyncio.get_running_loop())

    if fails:
        with pytest.raises(LookupError, match="mine"):
            call(lambda: run_then_leave(work(), leave))
    else:
        assert call(lambda: run_then_leave(work(), leave)) == "done"
    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_any_awaitable_can_be_run(call: Callable[[Callable[[], Any]], Any]) -> None:
    class Answer:
        def __await__(self) -> Iterator[Any]:
            return answer().__await__()

    assert call(lambda: asyncio_run(Answer())) == 42


@pytest.mark.parametrize(
    "error", [LookupError("mine"), RuntimeError("mine"), RuntimeError("no running event loop"), SystemExit(3)], ids=repr
)
def test_the_exception_of_the_coroutine_comes_out_unchanged(call: Callable[[Callable[[], Any]], Any], error: BaseException) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)) as caught:
        call(lambda: asyncio_run(fail()))
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_variables_go_in_and_changes_come_out(call: Callable[[Callable[[], Any]], Any]) -> None:
    async def change() -> str:
        seen = VARIABLE.get()
        VARIABLE.set("inside")
        await asyncio.sleep(0)
        OTHER.set("new")
        return seen

    def run() -> None:
        VARIABLE.set("outside")
        assert asyncio_run(change()) == "outside"
        assert (VARIABLE.get(), OTHER.get()) == ("inside", "new")

    call(run)


def test_changes_come_out_when_the_coroutine_fails(call: Callable[[Callable[[], Any]], Any]) -> None:
    async def fail() -> None:
        VARIABLE.set("inside")
        raise LookupError

    def run() -> None:
        with pytest.raises(LookupError):
            asyncio_run(fail())
        assert VARIABLE.get() == "inside"

    call(run)


def test_calls_can_be_nested(call: Callable[[Callable[[], Any]], Any]) -> None:
    async def middle() -> int:
        return asyncio_run(answer()) + 1

    assert call(lambda: asyncio_run(middle())) == 43


def test_no_thread_is_left(call: Callable[[Callable[[], Any]], Any]) -> None:
    async def fail() -> None:
        raise LookupError

    def run() -> None:
        before = threading.active_count()
        asyncio_run(answer())
        with pytest.raises(LookupError):
            asyncio_run(fail())
        assert threading.active_count() == before

    call(run)


@pytest.mark.parametrize("call", ["inside a loop", "in a thread"], indirect=True)
def test_what_the_coroutine_leaves_running_on_a_loop_for_the_call_is_cancelled(call: Callable[[Callable[[], Any]], Any]) -> None:
    ended = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def leaves() -> None:
        leaves.task = asyncio.create_task(background())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    call(lambda: asyncio_run(leaves()))
    assert ended == [True]


def test_an_object_of_the_outer_loop_is_an_error_that_says_what_to_do() -> None:
    async def outer() -> None:
        loop = asyncio.get_running_loop()

        async def wait_for(future: asyncio.Future[None]) -> None:
            await future

        lock = asyncio.Lock()
        await lock.acquire()
        waiter = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)

        async def wait_for_lock() -> None:
            await lock.acquire()

        for coroutine in (wait_for(loop.create_future()), wait_for_lock(), loop.create_future()):
            with pytest.raises(NestedLoopError, match="another event loop") as caught:
                asyncio_run(coroutine)
            assert isinstance(caught.value.__cause__, RuntimeError)
            assert "inside the coroutine" in caught.value.hint
        waiter.cancel()

    asyncio.run(outer())


def test_what_cannot_be_run_is_a_type_error() -> None:
    for thing in (7, None, answer):
        with pytest.raises(TypeError, match="needs a coroutine"):
            asyncio_run(thing)  # type: ignore[arg-type]


def test_an_unknown_way_is_a_value_error_and_the_coroutine_is_closed() -> None:
    with pytest.raises(ValueError, match="'thread' or 'patch'"):
        asyncio_run(answer(), nested="hope")  # type: ignore[arg-type]
    gc.collect()


def test_without_a_running_loop_there_is_nothing_to_patch() -> None:
    assert asyncio_run(answer(), nested="patch") == 42


def test_where_patching_is_not_possible_the_error_is_plain_and_the_coroutine_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def outer() -> None:
        with pytest.raises(NestedLoopError, match="nest_asyncio, which is not installed"):
            asyncio_run(answer(), nested="patch")
        monkeypatch.setattr(sys, "version_info", (3, 14, 0))
        with pytest.raises(NestedLoopError, match=r"does not work from Python 3\.14 on"):
            asyncio_run(answer(), nested="patch")

    monkeypatch.setitem(sys.modules, "nest_asyncio", None)
    asyncio.run(outer())
    gc.collect()
