"""Client CPU per 1,000 embeddings, against the OpenAI SDK, LlamaIndex and a bare loop: 128 texts of 1,536 numbers a request, 32 in flight.

Run: python tests/benchmarks/bench_http.py [REQUESTS] (in an environment with the extra `bench`)

Prints Markdown. A server in a process of its own answers from memory; all clients take turns in one process, and each figure is the least
CPU time of some rounds, so that other load on the machine disturbs little. Peak memory is that of a fresh process for each client.

The bare loop checks nothing and never fails well: httpx over httpx-aiohttp, orjson, and vectors as one float32 array, as ours are, by
`base64.b64decode` and `numpy.frombuffer`, or by `numpy.array` of a list. One row has it without that last step.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx_aiohttp
import numpy as np
import orjson

from asyncrun import http
from asyncrun.aio.limits import Limits
from asyncrun.aio.pool import outcomes
from asyncrun.aio.stop import StopRequest
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import SystemClock
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.embed_batch import embed_batch
from asyncrun.ledger.ledger import Ledger
from asyncrun.packing import BatchLimits, pack
from asyncrun.records import InputType, Pending
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder

BATCH = 128
DIMENSIONS = 1536
IN_FLIGHT = 32
ROUNDS = 5
REQUESTS = 100
MEMORY = (10_000, 100_000)
"""Texts in each of two runs whose peaks are compared."""
SLOW = ("openai", "llama-index")
"""Clients that take minutes: measured with 32 requests, in one round for numbers, and their memory with the first number of texts alone."""

Send = Callable[[int], Awaitable[object]]
"""Makes so many requests, as many in flight as allowed."""
Client = Callable[[str, str], AbstractAsyncContextManager[Send]]
"""Opens a client of an address, for `base64` or `float`."""


def texts_of(requests: int) -> Iterator[str]:
    return (f"text number {number}" for number in range(requests * BATCH))


async def in_flight(send: Callable[[], Awaitable[object]], requests: int) -> None:
    queue = iter(range(requests))

    async def worker() -> None:
        for _ in queue:
            await send()

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


# The bare loop ------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bare(url: str, encoding: str, *, decodes: bool = True, kind: type[httpx.AsyncClient] | None = None) -> AsyncIterator[Send]:
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with (kind or httpx_aiohttp.HttpxAiohttpClient)(limits=limits, timeout=60) as client:
        texts = list(texts_of(1))

        async def send() -> np.ndarray | None:
            body = orjson.dumps({"model": "m", "input": texts, "encoding_format": encoding})
            reply = await client.post(f"{url}/embeddings", content=body, headers={"content-type": "application/json"})
            data = orjson.loads(reply.content)["data"]
            if not decodes:
                return None
            vectors = np.empty((len(data), DIMENSIONS), np.float32)
            for row in data:
                raw = row["embedding"]
                vectors[row["index"]] = np.frombuffer(base64.b64decode(raw), np.float32) if encoding == "base64" else raw
            return vectors

        yield functools.partial(in_flight, send)


# Ours ---------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def our_http(url: str, encoding: str) -> AsyncIterator[Send]:
    client, texts = http.build_client(IN_FLIGHT), list(texts_of(1))

    async def send() -> object:
        body = orjson.dumps({"model": "m", "input": texts, "encoding_format": encoding})
        return orjson.loads((await http.send(client, f"{url}/embeddings", body, {}, timeout=60)).body)

    yield functools.partial(in_flight, send)
    await client.aclose()


@asynccontextmanager
async def our_embedder(url: str, encoding: str) -> AsyncIterator[OpenAIEmbedding]:
    extra = {} if encoding == "base64" else {"encoding_format": "float"}
    limits = Limits(requests_per_minute=1e9, tokens_per_minute=1e12, concurrency=IN_FLIGHT)
    async with OpenAIEmbedding(model="m", base_url=url, limits=limits, batch=BatchLimits(BATCH), extra_body=extra) as embedder:
        yield embedder


@asynccontextmanager
async def our_aembed(url: str, encoding: str) -> AsyncIterator[Send]:
    texts = list(texts_of(1))
    async with our_embedder(url, encoding) as embedder:
        yield functools.partial(in_flight, lambda: embedder.aembed(texts))


@asynccontextmanager
async def our_job(url: str, encoding: str) -> AsyncIterator[Send]:
    """All that an embed job does between its input and its ledger: packing, pool, limiter, checks, events, and a trace on disk."""
    async with our_embedder(url, encoding) as embedder:
        with tempfile.TemporaryDirectory() as folder:
            recorder = TraceRecorder(Path(folder) / "traces.db", Redactor())
            recorder.open()
            recorder.begin_run(job_file="jobs.yaml")
            # The ledger is never opened.
            ledger, manager = Ledger(Path(folder) / "ledger.db"), CallbackManager([recorder])
            context = JobContext("bench", "bench", ledger, StopRequest(), SystemClock(), manager, workers=IN_FLIGHT)

            async def send(requests: int) -> None:
                pending = (Pending(b"", text, len(text)) for text in texts_of(requests))
                batches = pack(((text, text.size) for text in pending), embedder.batch, lambda: embedder.tokens_per_byte)
                calls = (functools.partial(embed_batch, batch, embedder, InputType.DOCUMENT, context, keep=False) for batch in batches)
                async with outcomes(calls, workers=IN_FLIGHT, order="completed") as answered:
                    async for outcome in answered:
                        assert not outcome.result().failures

            yield send
            await asyncio.to_thread(recorder.close)


@asynccontextmanager
async def our_lists(url: str, encoding: str) -> AsyncIterator[Send]:
    async with our_embedder(url, encoding) as embedder:
        yield lambda requests: embedder.aget_text_embedding_batch(list(texts_of(requests)))


# Theirs -------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def openai_sdk(url: str, encoding: str) -> AsyncIterator[Send]:
    from openai import AsyncOpenAI

    texts: Any = list(texts_of(1))
    asked: dict[str, Any] = {} if encoding == "base64" else {"encoding_format": "float"}
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
        yield functools.partial(in_flight, lambda: client.embeddings.create(model="m", input=texts, **asked))


@asynccontextmanager
async def llama_index(url: str, encoding: str) -> AsyncIterator[Send]:
    from llama_index.embeddings.openai import OpenAIEmbedding as Theirs

    asked = {} if encoding == "base64" else {"encoding_format": "float"}
    embedder = Theirs(model_name="m", api_key="none", api_base=url, embed_batch_size=BATCH, num_workers=IN_FLIGHT, additional_kwargs=asked)
    yield lambda requests: embedder.aget_text_embedding_batch(list(texts_of(requests)))
    # It has no way of its own to close its connections.
    await embedder._get_aclient().close()


CLIENTS: dict[str, tuple[str, Client]] = {
    "bare": ("bare loop: httpx-aiohttp + orjson + float32", bare),
    "undecoded": ("the same without float32", functools.partial(bare, decodes=False)),
    "httpx": ("bare loop with httpx's own transport", functools.partial(bare, kind=httpx.AsyncClient)),
    "http": ("asyncrun's `http.send` + orjson", our_http),
    "aembed": ("`OpenAIEmbedding.aembed`: limiter, checks, float32", our_aembed),
    "job": ("**asyncrun, as an embed job**: all of it, with its trace", our_job),
    "lists": ("`aget_text_embedding_batch`: lists of Python floats", our_lists),
    "openai": ("the official `openai` SDK", openai_sdk),
    "llama-index": ("LlamaIndex's `OpenAIEmbedding`", llama_index),
}


def installed(name: str) -> bool:
    needed = {"openai": "openai", "llama-index": "llama_index.embeddings.openai"}.get(name)
    try:
        return needed is None or importlib.util.find_spec(needed) is not None
    except ModuleNotFoundError:
        return False


# The server ---------------------------------------------------------------------------------------------------------------------------


@functools.cache
def reply_to(count: int, encoding: str) -> bytes:
    vectors = np.random.default_rng(1).standard_normal((count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [base64.b64encode(row).decode() if encoding == "base64" else row.tolist() for row in vectors]
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    body = orjson.dumps({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": count * 5, "total_tokens": count * 5}})
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class FromMemory(asyncio.Protocol):
    """Reads just enough of a request to know which reply it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            whole = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r")[0])
            if len(self._read) < whole:
                return
            request, self._read = orjson.loads(self._read[end + 4 : whole]), self._read[whole:]
            self._transport.write(reply_to(len(request["input"]), request.get("encoding_format", "float")))  # type: ignore[attr-defined]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(FromMemory, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


# Measuring ----------------------------------------------------------------------------------------------------------------------------


async def one_round(url: str, encoding: str, name: str, requests: int) -> float:
    """Return CPU ms per 1,000 embeddings."""
    async with CLIENTS[name][1](url, encoding) as send:
        await send(4)
        began = time.process_time()
        await send(requests)
        return 1e6 * (time.process_time() - began) / (requests * BATCH)


def cpu_of(url: str, encoding: str, names: list[str], requests: int) -> dict[str, float]:
    """Return the least of all rounds for each client. Each round has a loop of its own."""
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS):
        for name in names:
            if name not in SLOW:
                taken[name].append(asyncio.run(one_round(url, encoding, name, requests)))
            elif encoding == "base64" or turn == 0:
                taken[name].append(asyncio.run(one_round(url, encoding, name, IN_FLIGHT)))
    return {name: min(rounds) for name, rounds in taken.items()}


def peak_of(url: str, name: str, texts: int) -> str:
    """Return the peak memory of a fresh process in MB."""
    command = [sys.executable, __file__, "--peak", name, url, str(texts // BATCH)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


async def print_peak(name: str, url: str, requests: int) -> None:
    async with CLIENTS[name][1](url, "base64") as send:
        await send(requests)
    # Not ru_maxrss: a process inherits that of the one it was started from.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) // 1024)


def main(requests: int) -> None:
    names = [name for name in CLIENTS if installed(name)]
    with server() as url:
        by_encoding = {encoding: cpu_of(url, encoding, names, requests) for encoding in ("base64", "float")}
        print("| CPU ms per 1,000 embeddings (times the bare loop) | base64 | numbers |\n|---|---|---|")
        for name in names:
            cells = [f"{least[name]:.1f} ({least[name] / least['bare']:.2f})" for least in by_encoding.values()]
            print(f"| {CLIENTS[name][0]} | {' | '.join(cells)} |")
        job = [least["job"] for least in by_encoding.values()]
        for name in SLOW:
            if name in names:
                shares = [f"{own / least[name]:.3f}" for own, least in zip(job, by_encoding.values(), strict=True)]
                print(f"| an embed job, as a share of {CLIENTS[name][0]} | {' | '.join(shares)} |")
        print(f"\n| peak MB | {' | '.join(f'{texts:,} texts' for texts in MEMORY)} |\n|---|---|---|")
        for name in ("bare", "aembed", "job", *SLOW):
            if name in names:
                peaks = [peak_of(url, name, texts) if texts == MEMORY[0] or name not in SLOW else "–" for texts in MEMORY]
                print(f"| {CLIENTS[name][0]} | {' | '.join(peaks)} |")


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    match sys.argv[1:]:
        case ["--serve"]:
            asyncio.run(serve())
        case ["--peak", name, url, number]:
            asyncio.run(print_peak(name, url, int(number)))
        case given:
            main(int(given[0]) if given else REQUESTS)
