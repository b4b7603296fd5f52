"""The bridge from synchronous code: `asyncio_run` runs a coroutine to its end, whether an event loop is running here or not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import signal
import sys
import threading
from collections.abc import Awaitable, Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any, Generic, Literal, TypeVar

from asyncrun.errors import NestedLoopError

T = TypeVar("T")

STEP = 0.1
"""Seconds of one wait for the thread; an interrupt is noticed between two of them where the system cannot end a wait."""
INTERRUPTS = 3
"""At this interrupt the thread is left behind: its coroutine has ignored the cancellations of those before."""


def asyncio_run(coro: Awaitable[T], *, nested: Literal["thread", "patch"] = "thread") -> T:
    """Run a coroutine to its end and return its result.

    Args:
        coro: a coroutine, or another awaitable.
        nested: what to do when an event loop is running in this thread, as in a notebook. `thread` runs the coroutine in another thread
            with a loop of its own, while this thread waits: what belongs to the loop outside (a client, a lock, a task) cannot be
            used in it. `patch` runs it on the loop outside, with nest_asyncio, which changes asyncio for the whole process and
            works below Python 3.14 only.

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
            with asyncio.Runner() as runner:
                return runner.run(main, context=context)
        if nested == "patch":
            return _run_patched(outer, main, context)
        return _Thread(main, context, debug=outer.get_debug()).run()
    except RuntimeError as error:
        if _is_foreign(error):
            raise NestedLoopError(f"the coroutine uses an object of another event loop: {error}") from error
        raise
    finally:
        _copy_back(context)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _discard(coro: object) -> None:
    if inspect.iscoroutine(coro):
        coro.close()


def _is_foreign(error: RuntimeError) -> bool:
    # The words of asyncio's tasks and of its locks, events and queues; there is no class to tell them by.
    return any(words in str(error) for words in ("attached to a different loop", "is bound to a different event loop"))


def _copy_back(context: Context) -> None:
    here = copy_context()
    missing = object()
    for variable, value in context.items():
        if here.get(variable, missing) is not value:
            variable.set(value)


class _Thread(Generic[T]):
    """A coroutine in a thread with an event loop of its own, and the wait for it."""

    def __init__(self, coro: Coroutine[Any, Any, T], context: Context, *, debug: bool) -> None:
        self._coro = coro
        self._context = context
        self._debug = debug
        self._done = threading.Event()
        self._cancels = threading.Event()
        self._task: asyncio.Task[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> T:
        """Start the thread, wait until it has ended, and return the coroutine's result or raise its error."""
        # A daemon: one that is left behind does not keep the process.
        thread = threading.Thread(target=self._work, name="asyncio_run", daemon=True)
        interrupt = self._wait_for(thread)
        if interrupt is not None:
            raise interrupt
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._result[0]

    def _wait_for(self, thread: threading.Thread) -> KeyboardInterrupt | None:
        interrupts: list[KeyboardInterrupt] = []
        with _interruptible():
            thread.start()
            # Not `thread.join()`: on 3.11 one that is interrupted takes a living thread for a dead one.
            while len(interrupts) < INTERRUPTS and not self._done.is_set():
                try:
                    self._done.wait(STEP)
                except KeyboardInterrupt as interrupt:
                    interrupts.append(interrupt)
                    self._cancel()
            if self._done.is_set():
                thread.join()
        return interrupts[0] if interrupts else None

    def _cancel(self) -> None:
        self._cancels.set()
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has just been closed
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _work(self) -> None:
        try:
            with asyncio.Runner(debug=self._debug) as runner:
                self._result.append(runner.run(self._main(), context=self._context))
        except BaseException as error:
            self._error = error
        finally:
            self._coro.close()
            self._done.set()

    async def _main(self) -> T:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if self._cancels.is_set():
            raise asyncio.CancelledError
        return await self._coro


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt here, where `asyncio.Runner` would cancel its main task, which cannot run now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    ours = isinstance(handler, functools.partial) and isinstance(getattr(handler.func, "__self__", None), asyncio.Runner)
    if not ours:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


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
