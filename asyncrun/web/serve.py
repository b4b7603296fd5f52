"""The server put together: it listens, says where, and shows the runs of a state folder until it is interrupted."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import time
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from asyncrun.state_folder import TRACES
from asyncrun.trace.store import TraceStore
from asyncrun.web.access import choose_access
from asyncrun.web.http_server import HttpServer
from asyncrun.web.routes import Routes
from asyncrun.web.runs import RunReader

TOKEN_BYTES = 18
GIVING_WAY = 10
"""By how much the process is nicer than others: the page of a run that goes on takes 2 % of a core, which the run should not feel."""


def serve_runs(state: Path, host: str, port: int, announce: Callable[[str], object], *, open_browser: bool = False) -> None:
    """Show the runs of a state folder to browsers until KeyboardInterrupt; blocks. The folder is only read.

    `announce` is told the address once somebody listens there. Raises UsageError where nobody can, StorageError and DamagedStateError for
    a store that cannot be read, such as one of a newer version. The process gives way to others from then on.
    """
    TraceStore(state / TRACES, read_only=True).close()
    os.nice(GIVING_WAY)
    asyncio.run(_serve(state, host, port, announce, open_browser=open_browser))


async def _serve(state: Path, host: str, port: int, announce: Callable[[str], object], *, open_browser: bool) -> None:
    # One thread reads the store and makes pages: no more than one core, and never two at once over what is kept.
    with ThreadPoolExecutor(1, "asyncrun-web") as thread:
        reader, token = RunReader(state, time.time), secrets.token_urlsafe(TOKEN_BYTES)
        server = HttpServer()
        try:
            listening = await server.listen(host, port)
            access = choose_access(host, [address for address, _ in listening], token)
            routes = Routes(reader, access, time.time)
            loop = asyncio.get_running_loop()
            server.answer_with(lambda request: loop.run_in_executor(thread, routes.answer, request))
            address = f"http://{_shown(host)}:{listening[0][1]}{access.base}"
            announce(address)
            if open_browser:
                thread.submit(partial(_open, address))
            await asyncio.Event().wait()
        finally:
            await server.close()


def _shown(host: str) -> str:
    """Return a host as an address has it: all addresses of a machine are reached by its name."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104  # asked for by who calls
        return platform.node() or "localhost"
    return f"[{host}]" if ":" in host else host


def _open(address: str) -> None:
    with suppress(webbrowser.Error):
        webbrowser.open(address)
