"""An iterator that blocks, read in threads one step ahead: the next item is made while the one before is worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import TypeVar

T = TypeVar("T")


async def drawn_ahead(items: Iterator[T]) -> AsyncGenerator[T]:
    """Yield what an iterator of no None yields, and raise what it raises in its turn.

    Closing the generator waits for nothing: the iterator may be in a step then, and what comes of that is nobody's.

    >>> async def main() -> list[str]:
    ...     return [item async for item in drawn_ahead(iter("ab"))]
    >>> asyncio.run(main())
    ['a', 'b']
    """
    drawing = asyncio.create_task(asyncio.to_thread(next, items, None))
    try:
        while (item := await drawing) is not None:
            drawing = asyncio.create_task(asyncio.to_thread(next, items, None))
            yield item
    finally:
        drawing.add_done_callback(_heed)


def _heed(drawn: asyncio.Task[object]) -> None:
    if not drawn.cancelled():
        drawn.exception()
