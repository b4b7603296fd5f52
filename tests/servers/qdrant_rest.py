"""Qdrant's REST, answered by the local mode of Qdrant's own client: no server's binary comes with pip, npm or apt."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel
from qdrant_client import QdrantClient, models


class QdrantRest(ThreadingHTTPServer):
    """A server on a port of loopback, which keeps its points in memory, or in `folder`; `refuse` is answered instead, where it is set."""

    daemon_threads = True

    def __init__(self, folder: Path | None = None, port: int = 0, key: str | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.local = QdrantClient(":memory:") if folder is None else QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        self.one_at_a_time = threading.Lock()
        self.key = key
        self.refuse: tuple[int, str] | None = None
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return the result of a request. Raises ValueError as the local mode does, KeyError for what is not known here."""
        for (verb, pattern), work in _WORK.items():
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return work(self.local, *map(unquote, match.groups()), *([] if body is None else [body]))
        raise KeyError(f"{method} {path}")


@contextmanager
def running(**how: Any) -> Iterator[QdrantRest]:
    """Run a server in a thread for as long as the block runs."""
    server = QdrantRest(**how)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.local.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: QdrantRest

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.server.seen.append(f"{self.command} {path}")
        if self.server.refuse is not None:
            self._send(*self.server.refuse)
        elif self.server.key is not None and self.headers.get("api-key") != self.server.key:
            self._send(401, "Must provide an API key or an Authorization bearer token")
        else:
            try:
                with self.server.one_at_a_time:
                    result = self.server.answer(self.command, path, json.loads(raw) if raw else None)
            except ValueError as error:
                missing = re.fullmatch(r"Collection (\S+) not found", str(error))
                self._send(404 if missing else 400, f"Not found: Collection `{missing[1]}` doesn't exist!" if missing else str(error))
            else:
                self._send(200, json.dumps(result if path == "/" else {"result": result, "status": "ok", "time": 0.0}), plain=True)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def _send(self, status: int, text: str, *, plain: bool = False) -> None:
        content = (text if plain else json.dumps({"status": {"error": text}, "time": 0.0})).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _create(local: QdrantClient, name: str, body: Any) -> bool:
    asked = models.CreateCollection.model_validate(body)
    if local.collection_exists(name):
        raise ValueError(f"Wrong input: Collection `{name}` already exists!")
    return local.create_collection(name, vectors_config=asked.vectors)


def _scroll(local: QdrantClient, name: str, body: Any) -> Any:
    asked = models.ScrollRequest.model_validate(body)
    points, following = local.scroll(
        name,
        scroll_filter=asked.filter,
        limit=asked.limit or 10,
        offset=asked.offset,
        with_payload=asked.with_payload,
        with_vectors=asked.with_vector,
    )
    return {"points": _plain(points), "next_page_offset": following}


def _batch(local: QdrantClient, name: str, body: Any) -> Any:
    operations = models.UpdateOperations.model_validate(body).operations
    return _plain(local.batch_update_points(name, operations))


def _query(local: QdrantClient, name: str, body: Any) -> Any:
    return _plain(local.query_batch_points(name, models.QueryRequestBatch.model_validate(body).searches))


def _retrieve(local: QdrantClient, name: str, body: Any) -> Any:
    asked = models.PointRequest.model_validate(body)
    return _plain(local.retrieve(name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector or False))


def _count(local: QdrantClient, name: str, body: Any) -> Any:
    return _plain(local.count(name, count_filter=models.CountRequest.model_validate(body).filter))


def _aliases(local: QdrantClient, body: Any) -> bool:
    return local.update_collection_aliases(models.ChangeAliasesOperation.model_validate(body).actions)


_NAME = "/collections/([^/]+)"
_WORK: dict[tuple[str, str], Any] = {
    ("GET", "/"): lambda _: {"title": "qdrant - vector search engine", "version": "1.20.0"},
    ("GET", "/collections"): lambda local: _plain(local.get_collections()),
    ("GET", "/aliases"): lambda local: _plain(local.get_aliases()),
    ("POST", "/collections/aliases"): _aliases,
    ("GET", f"{_NAME}/exists"): lambda local, name: {"exists": local.collection_exists(name)},
    ("PUT", _NAME): _create,
    ("DELETE", _NAME): lambda local, name: local.delete_collection(name),
    ("PUT", f"{_NAME}/index"): lambda local, name, body: {"operation_id": 0, "status": "completed"},
    ("POST", f"{_NAME}/points"): _retrieve,
    ("POST", f"{_NAME}/points/batch"): _batch,
    ("POST", f"{_NAME}/points/scroll"): _scroll,
    ("POST", f"{_NAME}/points/query/batch"): _query,
    ("POST", f"{_NAME}/points/count"): _count,
}


def started_process(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """Start a server as a process, and return it with its address; what it holds outlives it in `folder`."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.servers.qdrant_rest", str(folder), str(port)]
    process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


if __name__ == "__main__":
    served = QdrantRest(Path(sys.argv[1]), int(sys.argv[2]))
    print(served.url, flush=True)
    served.serve_forever()
