"""The bridge from synchronous code: `asyncio_run` runs a coroutine to its end, whether an event loop is running here or not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any, Generic, Literal, TypeVar

from asyncrun.aio.event_loop import idle_runner, loop_factory
from asyncrun.errors import NestedLoopError

T = TypeVar("T")

WAIT_STEP = 0.1
"""Seconds of one wait for the thread: where a signal cannot end a wait, its handler runs between two of them."""
INTERRUPTS = 3
"""At this interrupt the thread is left behind: its coroutine has ignored the cancellations of those before."""


def asyncio_run(coro: Awaitable[T], *, nested: Literal["thread", "patch"] = "thread") -> T:
    """Run a coroutine to its end and return its result.

    Args:
        coro: a coroutine, or another awaitable, such as a future.
        nested: what to do when an event loop is running in this thread, as in a notebook. `thread` runs the coroutine in another thread
            with a loop of its own, while this thread waits: what belongs to the loop outside (a client, a lock, a task) cannot be
            used in it. `patch` runs it on the loop outside, with nest_asyncio, which changes asyncio for the whole process and
            works below Python 3.14 only.

    Where no loop is running, it runs on the loop that this thread has set (or that a future belongs to), else in the main thread on one
    that is kept until the program ends: clients, locks and tasks that were made in one call work in the next. Other threads get a loop
    for the call alone, and so does a call inside of a running loop.

    The caller's context is seen inside, and variables that are set inside are set outside afterwards, as in a function call. The
    coroutine's own exception comes out unchanged. Ctrl-C cancels the coroutine, lets its `finally` blocks run, and is then raised.

    Raises NestedLoopError when the coroutine uses an object of another event loop, or when patching is not possible.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> asyncio_run(double(4))
    8
    """
    if nested not in ("thread", "patch"):
        _discard(coro)
        raise ValueError(f"nested must be 'thread' or 'patch', not {nested!r}")
    if not inspect.isawaitable(coro):
        raise TypeError(f"asyncio_run needs a coroutine or another awaitable, not {type(coro).__name__}")
    main: Coroutine[Any, Any, T] = coro if inspect.iscoroutine(coro) else _awaited(coro)
    context = copy_context()
    try:
        outer = asyncio.get_running_loop()
    except RuntimeError:
        outer = None
    try:
        if outer is None:
            with idle_runner(coro) as runner:
                return runner.run(main, context=context)
        if nested == "patch":
            return _run_patched(outer, main, context)
        return _Thread(main, context, debug=outer.get_debug()).result()
    except RuntimeError as error:
        if _is_foreign(error):
            raise NestedLoopError(f"the coroutine uses an object of another event loop: {error}") from error
        raise
    finally:
        _copy_back(context)


def run_then_leave(work: Awaitable[T], leave: Callable[[], Awaitable[object]]) -> T:
    """Run a coroutine as `asyncio_run` does, and then `leave`, on the same loop, which may end with the call.

    `leave` lets go of what belongs to a loop, such as connections; it is awaited as well when the coroutine raises.
    """

    async def in_a_loop_of_its_own() -> T:
        try:
            return await work
        finally:
            await leave()

    return asyncio_run(in_a_loop_of_its_own())


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _discard(coro: object) -> None:
    if inspect.iscoroutine(coro):
        coro.close()


def _is_foreign(error: RuntimeError) -> bool:
    # The words of asyncio's tasks and of its locks, events and queues; there is no class to tell them by.
    return type(error) is RuntimeError and any(
        words in str(error) for words in ("attached to a different loop", "is bound to a different event loop")
    )


def _copy_back(context: Context) -> None:
    here = copy_context()
    missing = object()
    for variable, value in context.items():
        if here.get(variable, missing) is not value:
            variable.set(value)


class _Thread(threading.Thread, Generic[T]):
    """A thread with an event loop of its own, for one coroutine."""

    def __init__(self, coro: Coroutine[Any, Any, T], context: Context, *, debug: bool) -> None:
        # A daemon: one that has to be left behind does not keep the process.
        super().__init__(name="asyncio_run", daemon=True)
        self._coro = coro
        self._run_context = context
        self._debug = debug
        self._go = threading.Event()
        self._done = threading.Event()
        self._cancelled = False
        self._task: asyncio.Task[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inner: _Thread[Any] | None = None
        self._result: list[T] = []
        self._error: BaseException | None = None

    def result(self) -> T:
        """Start, wait until the coroutine has ended, and return its result or raise its error."""
        outer = threading.current_thread()
        if isinstance(outer, _Thread):
            outer._inner = self
        try:
            interrupts = self._wait()
        finally:
            if isinstance(outer, _Thread):
                outer._inner = None
        if interrupts:
            raise KeyboardInterrupt
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._result[0]

    def cancel(self) -> None:
        """Cancel the coroutine, or the one that it waits for in a thread of its own. May be called in a signal handler."""
        self._cancelled = True
        if self._inner is not None:
            self._inner.cancel()
        elif self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _wait(self) -> int:
        with _interrupts_to(self.cancel) as interrupts:
            try:
                self.start()
                # Not `join()` first: on 3.11 one that a signal handler interrupts takes a living thread for a dead one.
                while len(interrupts) < INTERRUPTS and not self._done.is_set():
                    try:
                        self._go.set()
                        self._done.wait(WAIT_STEP)
                    except KeyboardInterrupt:  # of a handler that the program has set itself
                        interrupts.append(signal.SIGINT)
                        self.cancel()
            except BaseException:  # before the thread was under way
                self.cancel()
                raise
            finally:
                self._go.set()
        if self._done.is_set():
            self.join()
        return len(interrupts)

    def run(self) -> None:
        """Run the coroutine, in the thread."""
        self._go.wait()
        try:
            with asyncio.Runner(debug=self._debug, loop_factory=loop_factory()) as runner:
                self._result.append(runner.run(self._main(), context=self._run_context))
        except BaseException as error:
            self._error = error
        finally:
            self._coro.close()
            self._done.set()

    async def _main(self) -> T:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if self._cancelled:
            raise asyncio.CancelledError
        return await self._coro


@contextlib.contextmanager
def _interrupts_to(cancel: Callable[[], None]) -> Iterator[list[int]]:
    """Let Ctrl-C call `cancel` for a while, and list the signals.

    A KeyboardInterrupt could be raised anywhere in here, and `asyncio.Runner`, or the kernel of a notebook in a cell that awaits, would
    cancel its main task, which cannot run now. A program that has a handler of its own keeps it, and a thread that is not the main one
    gets no signals.
    """
    signals: list[int] = []

    def handle(number: int, _: object) -> None:
        signals.append(number)
        cancel()

    before = signal.getsignal(signal.SIGINT)
    of_runner = isinstance(before, functools.partial) and isinstance(getattr(before.func, "__self__", None), asyncio.Runner)
    of_kernel = getattr(before, "__module__", "").partition(".")[0] == "ipykernel"
    known = of_runner or of_kernel or before is signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or not known:
        yield signals
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, before)


def _run_patched(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], context: Context) -> T:
    try:
        if sys.version_info >= (3, 14):
            raise NestedLoopError("nested='patch' needs nest_asyncio, which does not work from Python 3.14 on", hint=_INSTEAD)
        try:
            import nest_asyncio
        except ImportError as error:
            raise NestedLoopError("nested='patch' needs nest_asyncio, which is not installed", hint=_INSTEAD) from error
        try:
            nest_asyncio.apply(loop)
        except ValueError as error:
            raise NestedLoopError(f"nest_asyncio cannot patch this event loop: {error}", hint=_INSTEAD) from error
    except NestedLoopError:
        coro.close()
        raise
    return loop.run_until_complete(loop.create_task(coro, context=context))


_INSTEAD = "Await the coroutine, or use nested='thread' and create what it uses inside the coroutine itself."
