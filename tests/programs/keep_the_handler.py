"""Says whether `asyncio_run` puts back the handler of interrupts."""

import asyncio
import signal

from asyncrun.aio.bridge import asyncio_run


async def nothing():
    pass


async def main():
    before = signal.getsignal(signal.SIGINT)
    asyncio_run(nothing())
    print(signal.getsignal(signal.SIGINT) is before)


asyncio.run(main())
