"""A receiver of posted words on loopback: what has arrived, and how it answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

KEY = "3f6d5c1a-secret-ping-key"


class Ping(NamedTuple):
    """One request that arrived."""

    path: str
    rid: str
    body: str
    authorization: str | None


class Receiver(ThreadingHTTPServer):
    """Answers every POST with the next of its statuses, the last one for ever; 0 hangs until the receiver is closed."""

    daemon_threads = False

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.got: list[Ping] = []
        self.closed = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{KEY}"

    @property
    def paths(self) -> list[str]:
        return [ping.path.removeprefix(f"/{KEY}") for ping in self.got]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        rid = parse_qs(parts.query).get("rid", [""])[0]
        self.server.got.append(Ping(parts.path, rid, body, self.headers["authorization"]))
        status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        if not status:
            self.server.closed.wait()
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", f"http://localhost:{self.server.server_address[1]}/elsewhere")
        self.send_header("content-length", "0")
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(*statuses)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closed.set()
        receiver.shutdown()
        thread.join()
        receiver.server_close()
