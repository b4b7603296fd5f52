"""Have three worker processes busy for ever, and print a line of JSON once they are: their numbers; `FOLDER` is the argument."""

import asyncio
import json
import sys
from pathlib import Path

from asyncrun.executors.processes import ProcessExecutor
from asyncrun.testing.worker_parts import RehearsalPart


async def main() -> None:
    executor, part = ProcessExecutor(3, slots_per_worker=1), RehearsalPart(sys.argv[1])
    calls = [asyncio.ensure_future(executor.run(part, method)) for method in ("hang", "hang", "hold")]
    while sorted(part.notes())[:3] != ["hanging", "hanging", "holding"]:
        await asyncio.sleep(0.01)
    lines = [line.split() for line in Path(sys.argv[1], "notes").read_text().splitlines()]
    print(json.dumps([int(number) for what, number in sorted(lines) if what != "opened"]), flush=True)
    await asyncio.gather(*calls)


asyncio.run(main())
