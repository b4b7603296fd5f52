"""HTTP/1.1 as the fake server reads and writes it: plain enough to be written wrong on purpose."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from asyncrun.testing.faults import Fault

EVENT_STREAM = "text/event-stream"
_EVENT = re.compile(rb"(?s).+?(?:\n\n|$)")


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of a request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


async def read_request(reader: asyncio.StreamReader) -> tuple[Head, bytes] | None:
    """Return a request's head and body, None when the connection ends before one. Raises IncompleteReadError within one."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:]) if name}
    return Head(method, path, headers), await reader.readexactly(int(headers.get("content-length", 0)))


async def write_reply(writer: asyncio.StreamWriter, status: int, body: bytes, headers: Mapping[str, str], fault: Fault) -> bool:
    """Write a reply, wrong in the way of the fault; return whether the connection goes on."""
    if fault.cut == -1:
        return False
    streamed = headers.get("content-type") == EVENT_STREAM
    chunked = fault.chunked or streamed
    if chunked:
        length = {"transfer-encoding": "chunked"}
    elif fault.repeat > 1:
        length = {"connection": "close"}
    else:
        length = {"content-length": str(len(body))}
    head = {"content-type": "application/json", **length, **headers, **fault.headers}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    for part in _parts(body[: fault.cut], fault, streamed=streamed):
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if chunked else part)
        await writer.drain()
        if fault.drip or fault.pause:
            await asyncio.sleep(fault.drip or fault.pause)
    if fault.cut is not None or fault.hang_up or fault.repeat > 1:
        # Closed in good order: what was written arrives.
        writer.close()
        await writer.wait_closed()
        return False
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return head.get("connection") != "close"


def _parts(body: bytes, fault: Fault, *, streamed: bool) -> Iterator[bytes]:
    if fault.drip:
        yield from (body[place : place + 1] for place in range(len(body)))
    elif streamed:
        yield from _EVENT.findall(body)
    elif body:
        yield from (body for _ in range(fault.repeat))
