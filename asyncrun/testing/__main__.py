"""`python -m asyncrun.testing`: the fake server from the shell, for rehearsals; its first line on stdout is the base URL.

With `--batch` it has the batch endpoints of all vendors, too, and a line with the base URL of each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Sequence

from asyncrun.errors import os_words
from asyncrun.testing.batch_servers import BASE_PATHS, BATCH_FAULTS, BatchServers, batch_faults, lowered_terms, parse_batch_fault
from asyncrun.testing.faults import SeenRequest
from asyncrun.testing.named import FAULTS, parse_fault
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer


def parse_latency(text: str) -> float | Callable[[SeenRequest], float]:
    """Return seconds, or a function that draws them evenly from a span such as `0.05-0.5`, each time the same ones.

    >>> parse_latency("0.2")
    0.2

    Raises ValueError for anything else.
    """
    low, dash, high = text.partition("-")
    if not dash:
        return float(text)
    least, most, rng = float(low), float(high), random.Random(1)  # noqa: S311 (no secret)
    return lambda request: rng.uniform(least, most)


def tls_context(path: str | None) -> ssl.SSLContext | None:
    """Return the context of a file with a certificate and its key. Raises OSError."""
    if path is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m asyncrun.testing",
        description="A fake server of embeddings and chat models on loopback, for rehearsals.",
        epilog=f"Faults by name: {', '.join(FAULTS)}. Of batches: {', '.join(BATCH_FAULTS)}.",
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--dimensions", type=int, default=8, help="numbers in a vector")
    parser.add_argument("--key", help="the API key that it demands")
    parser.add_argument("--latency", type=parse_latency, default=0.0, metavar="S", help="seconds before every answer, or a span: 0.05-0.5")
    parser.add_argument("--requests", type=int, metavar="N", help="requests that it takes within the window; beyond that it answers 429")
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens within the window; a token is four bytes")
    parser.add_argument("--inputs", type=int, metavar="N", help="texts within the window")
    parser.add_argument("--window", type=float, default=60.0, metavar="S", help="seconds of the window, which slides")
    parser.add_argument("--silent-limits", action="store_true", help="answer 429 without saying how long to wait")
    parser.add_argument("--max-in-flight", type=int, metavar="N", help="requests at once; the next is told: overloaded")
    parser.add_argument("--max-items", type=int, default=2048, metavar="N", help="texts in one request")
    parser.add_argument("--max-input-tokens", type=int, default=8192, metavar="N", help="tokens of one text")
    parser.add_argument("--max-request-tokens", type=int, default=300_000, metavar="N", help="tokens in one request")
    parser.add_argument("--no-base64", action="store_true", help="refuse encoding_format, as many servers do")
    parser.add_argument("--tls", metavar="FILE", help="speak https, with the certificate and key of this file")
    parser.add_argument(
        "--fault",
        type=parse_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help='a name, or JSON such as {"name": "crash", "times": 2, "after": 10, "text": "only where this is in a text"}; may be repeated',
    )
    add_batch_options(parser.add_argument_group("batch endpoints"))
    return parser


def add_batch_options(group: argparse._ArgumentGroup) -> None:
    """Add what the batch endpoints can be told."""
    group.add_argument("--batch", action="store_true", help=f"have them: {', '.join(BASE_PATHS)}")
    group.add_argument("--batch-seconds", type=float, default=180.0, metavar="S", help="seconds of their time after which a batch is done")
    group.add_argument("--batch-speed", type=float, default=1.0, metavar="N", help="seconds of their time that pass in one")
    group.add_argument("--batch-lines", type=int, metavar="N", help="most requests of a batch, instead of the vendor's limit")
    group.add_argument("--batch-tokens", type=int, metavar="N", help="most tokens of a model that wait in batches")
    group.add_argument("--batch-seed", type=int, default=0, metavar="N", help="what ids and the order of replies are drawn from")
    group.add_argument(
        "--batch-fault",
        type=parse_batch_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help='what goes wrong with batches: a name, or JSON such as {"stragglers": 0.02, "first": 3}; may be repeated',
    )


def batch_servers(given: argparse.Namespace) -> BatchServers | None:
    """Return the batch endpoints that are asked for, None where none are."""
    if not given.batch:
        return None
    return BatchServers(
        seconds=given.batch_seconds,
        speed=given.batch_speed,
        faults=batch_faults(given.batch_fault),
        terms=lowered_terms(lines=given.batch_lines, tokens=given.batch_tokens),
        seed=given.batch_seed,
    )


async def serve(server: FakeServer) -> None:
    """Serve until cancelled, and say where."""
    async with server:
        vendors = BASE_PATHS if server.batches else ()
        lines = [server.base_url, *(f"{vendor:<10}{server.vendor_url(vendor)}" for vendor in vendors)]
        print(*lines, sep="\n", flush=True)  # noqa: T201 (all that it says to whoever started it)
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    told = [name for name, value in vars(given).items() if name.startswith("batch_") and value != parser.get_default(name)]
    if told and not given.batch:
        parser.error(f"--{told[0].replace('_', '-')} is about the endpoints of --batch")
    server = FakeServer(
        port=given.port,
        dimensions=given.dimensions,
        key=given.key,
        latency=given.latency,
        quota=Quota(given.requests, given.tokens, given.inputs, given.window, told=not given.silent_limits),
        max_in_flight=given.max_in_flight,
        max_items=given.max_items,
        max_input_tokens=given.max_input_tokens,
        max_request_tokens=given.max_request_tokens,
        takes_base64=not given.no_base64,
        batches=batch_servers(given),
        tls=tls_context(given.tls),
        faults=given.fault,
    )
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(serve(server))
        except OSError as error:
            parser.error(f"cannot listen on port {given.port}: {os_words(error)}")


if __name__ == "__main__":
    main()
