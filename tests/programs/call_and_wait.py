"""Calls `asyncio_run` from where the first word says, with a coroutine that ends as the second one says, and waits to be interrupted."""

import asyncio
import signal
import sys
import threading

from asyncrun.aio.bridge import asyncio_run


def say(*words):
    print(*words, flush=True)


async def cleans_up():
    try:
        say("ready")
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        say("cleaned up")


async def swallows():
    say("ready")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        say("swallowed")


async def ignores():
    say("ready")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            say("ignored")


work = {"cleans up": cleans_up, "swallows": swallows, "ignores": ignores}[sys.argv[2]]


def call(coroutine):
    try:
        asyncio_run(coroutine)
    except KeyboardInterrupt:
        say("interrupted with", threading.active_count(), "thread")
        raise


async def main():
    call(work())


async def main_of_a_task():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(main())


async def middle():
    asyncio_run(work())


async def main_of_threads():
    call(middle())


async def main_with_a_handler():
    def handler(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    call(work())


match sys.argv[1]:
    case "no loop":
        call(work())
    case "asyncio.run":
        asyncio.run(main())
    case "a task of asyncio.run":
        asyncio.run(main_of_a_task())
    case "a thread inside of a thread":
        asyncio.run(main_of_threads())
    case "a handler of its own":
        asyncio.run(main_with_a_handler())
    case "a loop without a Runner":
        asyncio.new_event_loop().run_until_complete(main())
