"""`asyncio_run` in processes of its own: interrupts, and patching, which changes asyncio for a whole process."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence

import pytest

HEAD = """
    import asyncio, sys, threading, time
    from asyncrun.aio.bridge import asyncio_run

    def say(*words):
        print(*words, flush=True)

    async def work():
        try:
            say("ready")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            say("cleaned up")

    def call(coroutine):
        try:
            asyncio_run(coroutine)
        except KeyboardInterrupt:
            say("interrupted with", threading.active_count(), "thread")
            raise
"""
CALLERS = {
    "no loop": "call(work())",
    "asyncio.run": """
        async def main():
            call(work())
        asyncio.run(main())
    """,
    "a task of asyncio.run": """
        async def child():
            call(work())
        async def main():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(child())
        asyncio.run(main())
    """,
    "a thread inside of a thread": """
        async def middle():
            asyncio_run(work())
        async def main():
            call(middle())
        asyncio.run(main())
    """,
    "a handler of the program's own": """
        import signal
        def handler(number, frame):
            raise KeyboardInterrupt
        async def main():
            signal.signal(signal.SIGINT, handler)
            call(work())
        asyncio.run(main())
    """,
    "a loop without a Runner": """
        async def main():
            call(work())
        asyncio.new_event_loop().run_until_complete(main())
    """,
}


def start(*parts: str) -> subprocess.Popen[str]:
    code = "\n".join(textwrap.dedent(part) for part in parts)
    command: Sequence[str] = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the process hangs")
    return out.splitlines(), err


def wait_for_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("caller", CALLERS)
def test_ctrl_c_cancels_the_coroutine_lets_it_clean_up_and_is_raised(caller: str) -> None:
    process = start(HEAD, CALLERS[caller])
    assert wait_for_line(process) == "ready"
    process.send_signal(signal.SIGINT)
    out, err = end(process)
    assert out == ["cleaned up", "interrupted with 1 thread"]
    assert "KeyboardInterrupt" in err
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)


def test_ctrl_c_is_raised_even_when_the_coroutine_swallows_its_cancellation() -> None:
    swallow = """
        async def work():
            say("ready")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                say("swallowed")
    """
    process = start(HEAD, swallow, CALLERS["asyncio.run"])
    assert wait_for_line(process) == "ready"
    process.send_signal(signal.SIGINT)
    out, _ = end(process)
    assert out == ["swallowed", "interrupted with 1 thread"]


def test_a_coroutine_that_ignores_everything_is_left_behind_at_the_third_ctrl_c() -> None:
    ignore = """
        async def work():
            say("ready")
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    say("ignored")
    """
    process = start(HEAD, ignore, CALLERS["asyncio.run"])
    assert wait_for_line(process) == "ready"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert wait_for_line(process) == "ignored"
    process.send_signal(signal.SIGINT)
    out, _ = end(process)
    assert out[-1] == "interrupted with 2 thread"


def test_the_interrupt_handler_from_before_is_put_back() -> None:
    code = """
        import signal
        async def nothing():
            pass
        async def main():
            before = signal.getsignal(signal.SIGINT)
            asyncio_run(nothing())
            say(signal.getsignal(signal.SIGINT) is before)
        asyncio.run(main())
    """
    out, err = end(start(HEAD, code))
    assert (out, err) == (["True"], "")


def test_patching_runs_the_coroutine_on_the_loop_outside() -> None:
    code = """
        from contextvars import ContextVar
        variable = ContextVar("variable")
        async def use(lock):
            variable.set("inside")
            async with lock:
                return asyncio.get_running_loop()
        async def fail():
            raise LookupError("mine")
        async def main():
            lock = asyncio.Lock()
            await lock.acquire()
            asyncio.get_running_loop().call_later(0.01, lock.release)
            say(asyncio_run(use(lock), nested="patch") is asyncio.get_running_loop(), variable.get())
            try:
                asyncio_run(fail(), nested="patch")
            except LookupError as error:
                say(error)
        asyncio.run(main())
    """
    out, err = end(start(HEAD, code))
    if sys.version_info >= (3, 14):
        assert "NestedLoopError: nested='patch' needs nest_asyncio, which does not work from Python 3.14 on" in err
    else:
        assert (out, err) == (["True inside", "mine"], "")
