"""Post every finished event to a webhook, without slowing what is watched.

    python examples/webhook_handler.py https://example.org/hook
    python examples/webhook_handler.py            # to a small receiver of its own

The handler's methods are coroutines: asyncrun awaits them in a thread of their own, in order. A webhook that is slow, down or
refuses is reported once and no longer told; the jobs go on.
"""

import asyncio
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from asyncrun import CallbackManager, CBEventType, run_jobs
from asyncrun.callbacks import AsyncCallbackHandler


class WebhookHandler(AsyncCallbackHandler):
    """Posts `{"type", "id", "parent", "payload"}` when an event ends; of the payload only numbers and texts."""

    def __init__(self, url: str, **limits: float) -> None:
        super().__init__(**limits)
        self._url = url
        self._open: dict[str, tuple[str, dict]] = {}
        self._client: httpx.AsyncClient | None = None

    async def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        """Remember what an event is a part of, and what it starts with."""
        self._open[event_id] = parent_id, payload or {}

    async def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        """Post it. What this raises switches the handler off."""
        if self._client is None:
            # Here, because a client belongs to the event loop that it is used in.
            self._client = httpx.AsyncClient(timeout=5)
        parent, start = self._open.pop(event_id, ("", {}))
        plain = {str(key): value for key, value in {**start, **(payload or {})}.items() if isinstance(value, int | float | str)}
        event = {"type": CBEventType(event_type).value, "id": event_id, "parent": parent, "payload": plain}
        (await self._client.post(self._url, json=event)).raise_for_status()

    async def end_trace(self, trace_id=None, trace_map=None):
        """Close the connection."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


class Receiver(ThreadingHTTPServer):
    """A webhook that keeps what it gets; `seconds` is how long it takes for an answer."""

    daemon_threads = True

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.seconds = seconds
        self.events: list[dict] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_port}/hook"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.seconds)
        self.server.events.append(event)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


async def watched_jobs(url: str, number: int = 20) -> float:
    """Run jobs with the webhook, and return how many seconds they took without what the webhook took after them."""

    async def job(number: int) -> int:
        await asyncio.sleep(0.01)
        return number * number

    manager = CallbackManager([WebhookHandler(url)])
    started = time.monotonic()
    with manager.as_trace("squares"):
        await run_jobs([job(n) for n in range(number)], workers=5, callback_manager=manager)
    seconds = time.monotonic() - started
    # Waits until the webhook has been told of everything.
    await manager.aclose()
    return seconds


def main(words: list[str]) -> None:
    if words:
        print(f"jobs took {asyncio.run(watched_jobs(words[0])):.3f} s")
        return
    with Receiver(seconds=0.02) as receiver:
        print(f"20 jobs took {asyncio.run(watched_jobs(receiver.url)):.3f} s; the webhook needs 0.02 s for each of their events")
        print(f"it was told of {len(receiver.events)} events, the last: {json.dumps(receiver.events[-1])}")


if __name__ == "__main__":
    main(sys.argv[1:])
