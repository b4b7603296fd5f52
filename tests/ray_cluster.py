"""A real Ray cluster for tests: nodes on loopback, ended by their process ids, and gone with their folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
START = 90.0
"""Seconds that a node may take."""
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # A node that stands still is given up after seconds, where Ray's own settings take a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_DISABLE_MEMORY_MONITOR": "1",
    "PYTHONPATH": str(ROOT),
}
STORE = ("--object-store-memory", "100000000")


@dataclass(eq=False)
class RayNode:
    """One node: what `ray start --block` is, and all that it has started."""

    process: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        return [] if self.process.poll() is not None else [self.process.pid, *descendants(self.process.pid)]

    def signal(self, number: int) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        pids = self.pids()
        for _ in range(3):  # What is being started just now has a parent that is gone.
            self.signal(signal.SIGSTOP)
            pids = sorted({*pids, *self.pids()})
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@dataclass(eq=False)
class RayTestCluster:
    """A head, and nodes that have joined it."""

    folder: Path
    port: int
    environment: Mapping[str, str]
    nodes: list[RayNode] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        return self.folder / "session_latest" / "logs"

    def start_head(self, cpus: int) -> RayNode:
        options = ("--head", "--port", str(self.port), "--include-dashboard=false", "--temp-dir", str(self.folder))
        return self._start(*options, "--num-cpus", str(cpus))

    def add_node(self, cpus: int = 1, **environment: str) -> RayNode:
        return self._start("--address", self.address, "--num-cpus", str(cpus), **environment)

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.kill()

    def _start(self, *options: str, **environment: str) -> RayNode:
        log = self.folder / f"node{len(self.nodes)}.log"
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address", "127.0.0.1", *options, *STORE, "--block"]
        with log.open("wb") as said:
            settings = {**self.environment, **environment}
            process = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=said, stderr=said, process_group=0)
        node = RayNode(process)
        self.nodes.append(node)
        deadline = time.monotonic() + START
        while b"Ray runtime started" not in log.read_bytes():
            if node.process.poll() is not None or time.monotonic() > deadline:
                node.kill()
                raise RuntimeError(f"no node of Ray: {log.read_text(errors='replace')}")
            time.sleep(0.05)
        return node


@contextmanager
def ray_cluster(cpus: int = 1, **environment: str) -> Iterator[RayTestCluster]:
    """Run a cluster with one node. The folder has a short name: Ray makes sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    cluster = RayTestCluster(folder, free_port(), {**os.environ, **SETTINGS, **environment})
    try:
        cluster.start_head(cpus)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found
