"""Outside of a running loop `asyncio_run` means what LlamaIndex's means, in a process of its own, with warnings as errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio
from {module} import asyncio_run


async def running_loop():
    return asyncio.get_running_loop()


async def later():
    await asyncio.sleep(0.001)
    return 7


async def begin():
    return asyncio.create_task(later())


async def listen():
    return await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)


async def ask(server):
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        return await reader.read()


print("the loop is the same", asyncio_run(running_loop()) is asyncio_run(running_loop()))
print("a task goes on", asyncio_run(asyncio_run(begin())))
print("a server answers", asyncio_run(ask(asyncio_run(listen()))))
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print("the set loop is used", asyncio_run(running_loop()) is loop)
future = loop.create_future()
loop.call_soon(future.set_result, 5)
print("a future is taken", asyncio_run(future), loop.is_closed())
loop.close()
print("a closed loop is not used", asyncio_run(running_loop()) is not loop)
asyncio.set_event_loop(None)
asyncio.run(running_loop())
print("after asyncio.run", asyncio_run(later()))
"""
EXPECTED = """the loop is the same True
a task goes on 7
a server answers b''
the set loop is used True
a future is taken 5 False
a closed loop is not used True
after asyncio.run 7
"""


def said_with(*options: str, **names: str) -> str:
    process = subprocess.run(
        [sys.executable, *options, "-c", SCRIPT.format(**names)], capture_output=True, text=True, timeout=120, check=False
    )
    assert process.stderr == ""
    return process.stdout


def test_the_loop_of_the_thread_is_used_and_stays() -> None:
    assert said_with("-X", "dev", "-W", "error", module="asyncrun") == EXPECTED


@pytest.mark.needs("llama-index")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="no loop is made any more where none is set")
def test_llama_index_does_the_same() -> None:
    assert said_with("-W", "ignore", module="llama_index.core.async_utils") == EXPECTED
