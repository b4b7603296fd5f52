"""The way into a Ray cluster and out of it: within a time limit, quietly, every refusal in a sentence, nothing of Ray's left behind."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from asyncrun.aio.thread_calls import in_own_thread
from asyncrun.errors import AsyncrunError, EndpointError, TryLaterError, UsageError, os_words

T = TypeVar("T")
LEAVE_WITHIN = 5.0
"""Seconds in which it lets this process out."""
LOST_AFTER = 20.0
"""Seconds without its head after which a cluster is given up: after 60, Ray ends the process of whoever waits."""
LOOK_INTERVAL = 2.0
AUTO = "auto"
JOIN_WITHIN = 20.0
"""Seconds in which a cluster that answers lets this process in."""
ANSWER_WITHIN = 15.0
"""Seconds in which the head of a cluster answers: Ray itself waits for minutes."""
CONNECT_WITHIN = 5.0
"""Seconds in which it takes a connection."""
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Otherwise Ray packs up the project of a driver that uv has started, and builds it anew on every node.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""What Ray is told by its environment, where the user has not said it."""
_INHERITED = ("PATH", "HOME", "LANG", "LC_", "LD_", "DYLD_", "PYTHON", "TMPDIR", "RAY_")
"""Beginnings of the variables that the process which asks the head is given."""
_ASK = "import sys; sys.path[:] = {path!r}; from ray.scripts.scripts import main; sys.exit(main())"
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
_HINT = "Start the cluster (`ray start --head`), or correct `address` of the executor in the job file (HOST:PORT of the head)."
_HINT_OF_KEYS = "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file with the cluster's token; docs/scale.md shows how."


@dataclass(frozen=True, slots=True)
class RayNode:
    """A node that is alive, and what it has in all."""

    id: str
    address: str
    cpus: float
    gpus: float


@dataclass(slots=True, eq=False)
class RayCluster:
    """A cluster that this process has joined as a driver. `own` says whether it is to be left at the end: a caller's is not."""

    address: str
    own: bool
    _quiet: ExitStack = field(default_factory=ExitStack, repr=False)

    async def nodes(self) -> list[RayNode]:
        """Return the nodes that are alive now."""
        import ray

        found = await in_own_thread(ray.nodes, None)
        return [_node(each) for each in found if each["Alive"]]

    async def lost(self, after: float = LOST_AFTER, interval: float = LOOK_INTERVAL) -> None:
        """Return when the head has taken no connection for `after` seconds; it is looked after every `interval` seconds."""
        gone_since = None
        while gone_since is None or time.monotonic() - gone_since < after:
            await asyncio.sleep(interval)
            try:
                await _connect(self.address)
            except TryLaterError:
                gone_since = gone_since or time.monotonic()
            else:
                gone_since = None

    async def leave(self) -> None:
        """Leave the cluster, which ends what this process has started there; may be called twice."""
        import ray

        if self.own:
            self.own = False
            with self._quiet:
                try:
                    await in_own_thread(ray.shutdown, LEAVE_WITHIN)
                except TimeoutError:
                    # Where the head is gone, Ray waits for it: it must not do so at the end of the process again.
                    atexit.unregister(ray.shutdown)


async def join(address: str) -> RayCluster:
    """Join a cluster, within half a minute: `auto` (that of RAY_ADDRESS, or the one of this machine) or `HOST:PORT` of its head.

    Raises TryLaterError when it cannot be reached or does not let this process in, EndpointError when its versions are others, and
    UsageError for an address that cannot be meant.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return RayCluster(sys.modules["ray"].get_runtime_context().gcs_address, own=False)
    head = (os.environ.get("RAY_ADDRESS") or AUTO) if address == AUTO else address
    if head != AUTO:
        await _connect(head, "" if head == address else "RAY_ADDRESS: ")
    # To import Ray takes as long as to ask the head.
    ray, _ = await asyncio.gather(in_own_thread(lambda: importlib.import_module("ray"), None), _ask(head))
    given_up = threading.Event()

    def enter() -> None:
        # Off the main thread, so that Ray leaves the handlers of signals as they are.
        ray.init(address=address, configure_logging=False, log_to_driver=False)
        if given_up.is_set():
            ray.shutdown()

    try:
        with ExitStack() as quiet, _settings():
            quiet.enter_context(_silence())
            await in_own_thread(enter, JOIN_WITHIN)
            return RayCluster(ray.get_runtime_context().gcs_address, own=True, _quiet=quiet.pop_all())
    except asyncio.CancelledError:
        given_up.set()
        raise
    except TimeoutError as error:
        given_up.set()
        message = f"the Ray cluster at {head} has not let this process in within {JOIN_WITHIN:.0f} s"
        raise TryLaterError(message, hint="Run the command on a machine that is a node of the cluster.") from error
    except Exception as error:
        raise refusal(error, head) from error


async def _connect(head: str, source: str = "") -> None:
    """See in seconds whether anybody is at the address at all; `source` says where a wrong one stands, unless it is the job file."""
    if "://" in head or head == "local":
        raise UsageError(
            f"{source}a Ray executor has no use for the address {head!r}: the command runs on a node of the cluster, and joins it",
            hint="Name the head by HOST:PORT, or write `address: auto`; without a cluster there is `executor: processes`.",
        )
    host, _, port = head.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"{source}{head!r} is not the address of a Ray cluster", hint="Write HOST:PORT of the head, or `address: auto`.")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), CONNECT_WITHIN)
    except TimeoutError as error:
        raise TryLaterError(f"the Ray cluster at {head} cannot be reached: it takes no connection", hint=_HINT) from error
    except OSError as error:
        raise TryLaterError(f"the Ray cluster at {head} cannot be reached: {_why(error)}", hint=_HINT) from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _why(error: OSError) -> str:
    """Say why there is no connection: asyncio names its own call."""
    return os_words(error) if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)


async def _ask(head: str) -> None:
    """Ask the head whether it is one, and would let this process in; in another process, because a refusal ends it."""
    which = () if head == AUTO else ("--address", head)
    asking = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _ASK.format(path=sys.path),
        "health-check",
        *which,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name.startswith(_INHERITED)},
        process_group=0,
    )
    try:
        said, _ = await asyncio.wait_for(asking.communicate(), ANSWER_WITHIN)
    except TimeoutError as error:
        raise TryLaterError(f"nothing answers at {head} as the head of a Ray cluster does", hint=_HINT) from error
    finally:
        with suppress(ProcessLookupError):
            asking.kill()
        await asking.wait()
    words = said.decode(errors="replace")
    if asking.returncode and "token" in words:
        raise TryLaterError(f"the Ray cluster at {head} does not let this process in: it wants another token", hint=_HINT_OF_KEYS)
    if asking.returncode and head == AUTO:
        raise TryLaterError("no Ray cluster runs on this machine", hint=_HINT)


def refusal(error: Exception, head: str) -> AsyncrunError:
    """Return what Ray says when it does not join the cluster at `head`, in a sentence."""
    versions = _VERSIONS.findall(str(error))
    if len(versions) == 2:
        (theirs, their_python), (ours, our_python) = versions
        return EndpointError(
            f"the cluster at {head} runs Ray {theirs} on Python {their_python}, this process Ray {ours} on Python {our_python}",
            hint="Install the same version of Ray, and the same Python, here and on every node.",
        )
    return TryLaterError(f"the Ray cluster at {head} cannot be joined: {first_line(str(error))}", hint=_HINT)


def first_line(words: str) -> str:
    r"""Return the first line of what Ray says: a page often follows.

    >>> first_line("The actor is dead.\nclass_name: W")
    'The actor is dead'
    """
    return words.strip().partition("\n")[0].rstrip(".")


def _node(found: dict[str, Any]) -> RayNode:
    resources = found["Resources"]
    return RayNode(found["NodeID"], found["NodeManagerAddress"], resources.get("CPU", 0.0), resources.get("GPU", 0.0))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Ray says of itself out of this process's streams; its own logs, in the folder of its session, have it all."""
    from ray._private import worker

    logger = logging.getLogger("ray")
    level, printing = logger.level, getattr(worker, "print_to_stdstream", None)
    logger.setLevel(logging.CRITICAL)
    # Deaths of workers, which Ray prints to standard output, where the answer of a command belongs. There is no switch for it.
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        logger.setLevel(level)
        worker.print_to_stdstream = printing


@contextmanager
def _settings() -> Iterator[None]:
    """Tell Ray by its environment what the user has not said."""
    unset = [name for name in _SETTINGS if name not in os.environ]
    for name in unset:
        os.environ[name] = _SETTINGS[name]
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]
