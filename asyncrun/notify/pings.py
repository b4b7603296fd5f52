"""Pings as healthchecks expects them: the address, the body, and the tries of one ping.

The address is a secret: who has it can silence the alarm. So nothing that comes back from here holds it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from asyncrun.aio.retry import RetryPolicy, backoff_ceiling
from asyncrun.clock import Clock
from asyncrun.endpoints.address import keys_in_headers
from asyncrun.escape import printable
from asyncrun.http import send
from asyncrun.transport_faults import TransportError

if TYPE_CHECKING:
    from asyncrun.http import Client

PING_TIMEOUT = 10.0
"""Seconds for one try, as in healthchecks' recipe `curl -fsS -m 10 --retry 5` (https://healthchecks.io/docs/bash/)."""
TRIES = 5
MAX_BODY = 100_000
"""Bytes of a body that healthchecks keeps (https://healthchecks.io/docs/attaching_logs/)."""
MAX_PING_REPLY = 65536
START, FAIL, SUCCESS = "start", "fail", ""
_PASSING = (408, 425, 429)
"""Statuses below 500 that may be others at the next try."""


def ping_address(url: str, step: str, rid: UUID) -> str:
    """Return where a step is told: `start`, `fail`, an exit code, or nothing for a success; `rid` pairs the start with the end.

    >>> ping_address("https://hc-ping.com/key/slug?create=1", "start", UUID(int=7))
    'https://hc-ping.com/key/slug/start?create=1&rid=00000000-0000-0000-0000-000000000007'
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + (f"/{step}" if step else "")
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("rid", str(rid))])
    return parts._replace(path=path, query=query, fragment="").geturl()


def ping_body(text: str, redact: Callable[[str], str]) -> bytes:
    """Return the body that tells a text: without secrets, without control characters, at most `MAX_BODY` bytes of whole characters."""
    lines = "\n".join(map(printable, redact(text).split("\n")))
    return lines.encode()[:MAX_BODY].decode(errors="ignore").encode()


async def send_ping(client: Client, address: str, body: bytes, *, clock: Clock, rng: random.Random, tries: int = TRIES) -> str | None:
    """Send one ping, again after a growing wait when it fails. Returns why it did not get through, None when it did."""
    policy = RetryPolicy(attempts=tries)
    for attempt in range(1, tries + 1):
        why, again = await _try(client, address, body)
        if why is None or not again or attempt == tries:
            return why
        ceiling = backoff_ceiling(attempt, policy)
        await clock.sleep(rng.uniform(ceiling / 2, ceiling))
    return None


async def _try(client: Client, address: str, body: bytes) -> tuple[str | None, bool]:
    """Return why a try failed, None when it did not, and whether another one may help."""
    bare, headers = keys_in_headers(address, {"content-type": "text/plain; charset=utf-8"})
    try:
        reply = await send(client, bare, body, headers, timeout=PING_TIMEOUT, max_bytes=MAX_PING_REPLY)
    except TransportError as error:
        return str(error), True
    if 200 <= reply.status < 300:
        return None, False
    return f"it answered {reply.status}", reply.status >= 500 or reply.status in _PASSING
