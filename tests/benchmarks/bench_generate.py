"""What a generate job takes of the client beside its requests: processor time and memory, against a bare loop and other tools.

    python tests/benchmarks/bench_generate.py [--rows 10000] [--way bare|generate|resume|embed-resume|langchain|curator] [--url URL]

Without `--way` each way runs in a process of its own, one after the other, against a server in another process that answers at once, and a
Markdown table is printed. The CPU is that of the client alone. `--peers PYTHON` names an interpreter with langchain-openai and curator.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IN_FLIGHT = 64
REPLY = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "It rains in the north."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(REPLY), REPLY)


class Fast(asyncio.Protocol):
    """Answers every request alike, at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.seen = transport, b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while (end := self.seen.find(b"\r\n\r\n")) >= 0:
            head = self.seen[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self.seen) < end + 4 + length:
                return
            self.seen = self.seen[end + 4 + length :]
            self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Fast, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def prompt(number: int) -> str:
    return f"Sum up: note {number} about rain, wind and the weather of the week in the north of the country."


async def bare(url: str, rows: int) -> None:
    from asyncrun.llms import OpenAIChat

    gate = asyncio.Semaphore(IN_FLIGHT)
    async with OpenAIChat(model="m", base_url=url, api_key="k") as llm:

        async def one(number: int) -> None:
            async with gate:
                assert (await llm.complete(llm.messages(prompt(number)))).answer is not None

        for start in range(0, rows, 1000):
            await asyncio.gather(*(one(number) for number in range(start, min(start + 1000, rows))))


def write_rows(folder: Path, rows: int) -> None:
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"id": f"n{number}", "text": prompt(number)[8:]}) + "\n")


def generate(url: str, folder: Path) -> None:
    import asyncrun

    llm = {"provider": "openai", "model": "m", "base_url": url, "api_key": "k", "limits": {"concurrency": IN_FLIGHT}}
    job = {"name": "sum", "kind": "generate", "input": "rows.jsonl", "llm": llm, "prompt": "Sum up: {text}", "output": "out.jsonl"}
    report = asyncrun.run({"jobs": [job]}, folder=folder)
    assert report.exit_code == 0, report


def langchain(url: str, rows: int) -> None:
    from langchain_openai import ChatOpenAI

    llm = ChatOpenAI(model="m", base_url=url, api_key="k")

    async def run() -> None:
        for start in range(0, rows, 1000):
            await llm.abatch([prompt(number) for number in range(start, min(start + 1000, rows))], {"max_concurrency": IN_FLIGHT})

    asyncio.run(run())


def curator(url: str, rows: int, folder: Path) -> None:
    os.environ |= {"CURATOR_DISABLE_CACHE": "1", "TELEMETRY_ENABLED": "0", "CURATOR_DISABLE_RICH_DISPLAY": "1"}
    import litellm.litellm_core_utils.default_encoding  # noqa: F401  # it has the tokenizer that curator would download
    from bespokelabs import curator

    class Ask(curator.LLM):
        def prompt(self, row: dict[str, str]) -> str:
            return row["text"]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"id": row["id"], "answer": response}

    limits = {"max_requests_per_minute": 10_000_000, "max_tokens_per_minute": 10_000_000_000, "max_concurrent_requests": IN_FLIGHT}
    ask = Ask("gpt-4o-mini", backend="openai", backend_params={"base_url": url, "api_key": "k", **limits})
    ask([{"id": str(number), "text": prompt(number)} for number in range(rows)], working_dir=str(folder / "cache"))


def cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run_way(way: str, url: str, rows: int, folder: Path) -> None:
    began, before = time.monotonic(), cpu()
    if way == "bare":
        asyncio.run(bare(url, rows))
    elif way in ("generate", "resume"):
        generate(url, folder)
    elif way == "langchain":
        langchain(url, rows)
    else:
        curator(url, rows, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"way": way, "rows": rows, "cpu": cpu() - before, "wall": time.monotonic() - began, "peak": peak}))


def measured(python: str, way: str, url: str, rows: int, folder: Path) -> dict[str, float]:
    call = [python, __file__, "--way", way, "--url", url, "--rows", str(rows), "--folder", str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"way"')]
    if not lines:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    return json.loads(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--way")
    parser.add_argument("--ways", default="bare,generate,resume")
    parser.add_argument("--url")
    parser.add_argument("--folder")
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
    elif given.way:
        run_way(given.way, given.url, given.rows, Path(given.folder or "."))
    else:
        server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            print("| way | rows | CPU a row, µs | wall, s | peak, MB |\n|---|---|---|---|---|")
            with tempfile.TemporaryDirectory() as folder:
                write_rows(Path(folder), given.rows)
                for way in given.ways.split(","):
                    python = given.peers if way in ("langchain", "curator") else sys.executable
                    row = measured(python, way, url, given.rows, Path(folder))
                    each = row["cpu"] / row["rows"] * 1e6
                    print(f"| {way} | {row['rows']:,} | {each:.0f} | {row['wall']:.1f} | {row['peak']:.0f} |", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
