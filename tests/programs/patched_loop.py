"""Runs coroutines with `nested='patch'`, on the loop that is there."""

import asyncio
from contextvars import ContextVar

from asyncrun.aio.bridge import asyncio_run

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
    print(asyncio_run(use(lock), nested="patch") is asyncio.get_running_loop(), variable.get())
    try:
        asyncio_run(fail(), nested="patch")
    except LookupError as error:
        print(error)


asyncio.run(main())
