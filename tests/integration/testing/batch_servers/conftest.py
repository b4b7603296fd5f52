"""One server of all vendors, in a thread, whose time the test lets pass."""

import json
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass

import pytest

from asyncrun.testing import FakeServer
from asyncrun.testing.batch_servers import BatchServers, ServerClock


@dataclass
class Told:
    status: int
    body: bytes
    headers: dict

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def rows(self):
        return [json.loads(line) for line in self.body.splitlines()]


class Caller:
    """Calls one vendor's endpoints, with a key."""

    def __init__(self, server, vendor, key="mine", header="authorization"):
        self.server, self.url, self.key, self.header = server, server.vendor_url(vendor), key, header

    def call(self, method, path, document=None, *, body=None, headers=()):
        data = json.dumps(document).encode() if document is not None else body
        url = path if path.startswith("http") else self.url + path
        key = {self.header: f"Bearer {self.key}" if self.header == "authorization" else self.key}
        request = urllib.request.Request(url, data, {"content-type": "application/json", **key, **dict(headers)}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Told(reply.status, reply.read(), dict(reply.headers))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Told(refusal.code, refusal.read(), dict(refusal.headers))

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, document=None, **how):
        return self.call("POST", path, {} if document is None else document, **how)

    def upload(self, rows, **fields):
        boundary = uuid.uuid4().hex
        content = rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n'
        )
        body = "".join([*parts, head]).encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self.call("POST", "/files", body=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"})


@pytest.fixture
def serve():
    """Start a server with batch endpoints; time stands still but for `advance`."""
    running = []

    def start(vendor, *, header="authorization", known_key=None, **about):
        batches = BatchServers(clock=ServerClock(real=lambda: 1_800_000_000.0), **about)
        context = FakeServer(batches=batches, key=known_key, dimensions=3).in_thread()
        running.append(context)
        return Caller(context.__enter__(), vendor, header=header)

    yield start
    for context in running:
        context.__exit__(None, None, None)
