"""`asyncio_run` in processes of its own: interrupts, and patching, which changes asyncio for a whole process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
CALLERS = (
    "no loop",
    "asyncio.run",
    "a task of asyncio.run",
    "a thread inside of a thread",
    "a handler of its own",
    "a loop without a Runner",
)


def start(program: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAMS / program), *words]
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
    process = start("call_and_wait.py", caller, "cleans up")
    assert wait_for_line(process) == "ready"
    process.send_signal(signal.SIGINT)
    out, err = end(process)
    assert out == ["cleaned up", "interrupted with 1 thread"]
    assert "KeyboardInterrupt" in err
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)


def test_ctrl_c_is_raised_even_when_the_coroutine_swallows_its_cancellation() -> None:
    process = start("call_and_wait.py", "asyncio.run", "swallows")
    assert wait_for_line(process) == "ready"
    process.send_signal(signal.SIGINT)
    out, _ = end(process)
    assert out == ["swallowed", "interrupted with 1 thread"]


def test_a_coroutine_that_ignores_everything_is_left_behind_at_the_third_ctrl_c() -> None:
    process = start("call_and_wait.py", "asyncio.run", "ignores")
    assert wait_for_line(process) == "ready"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert wait_for_line(process) == "ignored"
    process.send_signal(signal.SIGINT)
    out, _ = end(process)
    assert out[-1] == "interrupted with 2 thread"


def test_the_interrupt_handler_from_before_is_put_back() -> None:
    out, err = end(start("keep_the_handler.py"))
    assert (out, err) == (["True"], "")


def test_patching_runs_the_coroutine_on_the_loop_outside() -> None:
    out, err = end(start("patched_loop.py"))
    if sys.version_info >= (3, 14):
        assert "NestedLoopError: nested='patch' needs nest_asyncio, which does not work from Python 3.14 on" in err
    else:
        assert (out, err) == (["True inside", "mine"], "")
