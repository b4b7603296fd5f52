"""Handles signals, works on for some seconds when one has come, and ends by that signal."""

import asyncio
import sys

from asyncrun.aio.stop import StopRequest, handle_signals, raise_again

work, grace = float(sys.argv[1]), float(sys.argv[2])


async def main(stop):
    with handle_signals(stop, asyncio.current_task().cancel, grace=grace) as handled:
        print("ready", handled, flush=True)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting], timeout=60)
        waiting.cancel()
        print("stopping", stop.reason, flush=True)
        await asyncio.sleep(work)
        print("finished", flush=True)


stop = StopRequest()
try:
    asyncio.run(main(stop))
except asyncio.CancelledError:
    print("cancelled", flush=True)
finally:
    print("cleaned up")
if stop.signal is not None:
    raise_again(stop.signal)
