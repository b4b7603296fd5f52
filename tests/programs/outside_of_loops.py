"""Uses the `asyncio_run` of a module outside of any running loop, and says what it does."""

import asyncio
import importlib
import sys

asyncio_run = importlib.import_module(sys.argv[1]).asyncio_run


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
