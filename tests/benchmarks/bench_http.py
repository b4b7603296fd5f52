"""Client CPU per 1,000 embeddings: 128 texts of 1,536 numbers a request, 32 in flight, a server in another process.

python tests/benchmarks/bench_http.py [REQUESTS]
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
import httpx_aiohttp
import orjson

from asyncrun.aio.limits import Limits
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.http import build_client, post_json

TEXTS = [f"text number {number}" for number in range(128)]
DIMENSIONS = 1536
IN_FLIGHT = 32


async def bare(client: httpx.AsyncClient, url: str, encoding: str) -> Callable[[], Awaitable[object]]:
    body = orjson.dumps({"model": "m", "input": TEXTS, "encoding_format": encoding})

    async def send() -> object:
        reply = await client.post(url, content=body, headers={"content-type": "application/json"})
        return orjson.loads(reply.content)

    return send


async def measure(name: str, send: Callable[[], Awaitable[object]], requests: int) -> None:
    await send()
    queue = iter(range(requests))

    async def worker() -> None:
        for _ in queue:
            await send()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    count = requests * len(TEXTS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:34} {1e6 * cpu / count:7.1f} ms CPU per 1,000   {count / wall:9.0f}/s   peak so far {peak} MB")


async def main(base_url: str, requests: int) -> None:
    url = f"{base_url}/embeddings"
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    for encoding in ("base64", "float"):
        async with httpx_aiohttp.HttpxAiohttpClient(limits=limits, timeout=60) as client:
            await measure(f"bare httpx-aiohttp + orjson, {encoding}", await bare(client, url, encoding), requests)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            await measure(f"bare httpx + orjson, {encoding}", await bare(client, url, encoding), requests)
        ours = build_client(IN_FLIGHT)
        body = orjson.dumps({"model": "m", "input": TEXTS, "encoding_format": encoding})

        async def post(client=ours, body=body) -> object:
            return orjson.loads((await post_json(client, url, body, {}, timeout=60)).body)

        await measure(f"asyncrun.http + orjson, {encoding}", post, requests)
        await ours.aclose()
        extra = {} if encoding == "base64" else {"encoding_format": "float"}
        async with OpenAIEmbedding(model="m", base_url=base_url, limits=Limits(concurrency=IN_FLIGHT), extra_body=extra) as embedder:
            await measure(f"OpenAIEmbedding.aembed, {encoding}", lambda embedder=embedder: embedder.aembed(TEXTS), requests)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    command = [sys.executable, "-m", "asyncrun.testing.server", "--dimensions", str(DIMENSIONS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            asyncio.run(main(server.stdout.readline().strip(), count))
        finally:
            server.terminate()
