"""Runs over a real Ray cluster: the same bytes as without one, whoever is killed; a cluster that is away, or wants a token, is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer
from tests.ray_cluster import RayTestCluster, ray_cluster

from .conftest import PATIENCE, finish, start, summary_of, wait_until

pytestmark = pytest.mark.needs("ray")

ITEMS, BATCH, IN_FLIGHT = 800, 8, 4
KEY = "sentinel-key-of-the-cluster-0123456789"
TOKEN = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayTestCluster]:
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("CLUSTER_KEY", KEY)


def write_jobs(folder: Path, server: FakeServer, **executor: Any) -> Path:
    lines = (json.dumps({"id": str(number), "text": f"text {number}"}) for number in range(ITEMS))
    (folder / "items.jsonl").write_text("\n".join(lines))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}}
    embedder |= {"limits": {"concurrency": IN_FLIGHT}, "api_key": "${CLUSTER_KEY:-none}"}
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job], **({"executor": {"type": "ray", **executor}} if executor else {})}))
    return folder / "out.jsonl"


def workers(cluster: RayTestCluster) -> list[int]:
    """Return the processes of our workers in the cluster."""
    return [pid for node in cluster.nodes for pid in node.pids() if "ray::AsyncrunWorker" in command_of(pid)]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def until_requests(server: FakeServer, more: int, process: subprocess.Popen[str]) -> None:
    wanted = len(server.requests) + more
    wait_until(lambda: len(server.requests) >= wanted, process)


def test_whoever_is_killed_the_bytes_are_those_of_a_run_without_a_cluster(
    cluster: RayTestCluster, undisturbed: bytes, tmp_path: Path
) -> None:
    second = cluster.add_node()
    with FakeServer(latency=0.05).in_thread() as server:
        output = write_jobs(tmp_path, server, address=cluster.address, processes=2)
        driver = start(tmp_path)
        until_requests(server, 20, driver)
        driver.kill()
        finish(driver)
        assert not output.exists()
        again = start(tmp_path)
        until_requests(server, 10, again)
        os.kill(workers(cluster)[0], signal.SIGKILL)
        until_requests(server, 10, again)
        second.kill()
        out, err = again.communicate(timeout=PATIENCE)
        assert again.returncode == 0, out + err
        assert output.read_bytes() == undisturbed
        assert sum(Counter(server.sent_texts).values()) - ITEMS <= 3 * IN_FLIGHT * BATCH
    summary = summary_of(out)
    assert summary["lost_workers"] >= 1
    assert [line for line in out.splitlines() if not line.startswith("{")] == []
    assert "ray" not in err.lower() and KEY not in out + err
    gone(cluster, again)


def test_an_interrupt_ends_the_workers_too(cluster: RayTestCluster, tmp_path: Path) -> None:
    with FakeServer(latency=0.05).in_thread() as server:
        write_jobs(tmp_path, server, address=cluster.address, processes=1)
        process = start(tmp_path)
        until_requests(server, 10, process)
        assert len(workers(cluster)) == 1
        process.send_signal(signal.SIGINT)
        code, told = finish(process)
        assert code in (130, -signal.SIGINT), told
        assert summary_of(told)["status"] == "stopped"
        gone(cluster, process)


def gone(cluster: RayTestCluster, ended: subprocess.Popen[str]) -> None:
    """Wait until no worker of ours is left."""
    with subprocess.Popen(["sleep", str(PATIENCE)]) as patience:
        wait_until(lambda: not workers(cluster), patience)
        patience.kill()
    assert ended.poll() is not None
    assert workers(cluster) == []


def test_a_head_that_is_gone_stops_the_run_before_ray_ends_the_process(tmp_path: Path) -> None:
    with ray_cluster() as cluster, FakeServer(latency=0.3).in_thread() as server:
        write_jobs(tmp_path, server, address=cluster.address, processes=1)
        process = start(tmp_path)
        until_requests(server, 10, process)
        cluster.stop()
        code, told = finish(process)
        assert code == 75, told
        assert re.search("the head of the Ray cluster at .* is gone", summary_of(told)["jobs"][0]["reason"])


def test_a_cluster_that_wants_a_token_says_so_and_the_doctor_finds_its_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with ray_cluster(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as cluster, FakeServer().in_thread() as server:
        write_jobs(tmp_path, server, address=cluster.address)
        code, told = finish(start(tmp_path))
        assert code == 75, told
        assert "does not let this process in: it wants another token" in summary_of(told)["jobs"][0]["reason"]
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
        found = subprocess.run(
            [sys.executable, "-m", "asyncrun", "doctor", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout + found.stderr
        [executor] = json.loads(found.stdout)["executor"]
        assert executor["ok"] and ", 1 node, 1 CPU" in executor["found"]
        assert [setting["value"] for setting in executor["settings"]] == ["1 CPU, 0 GPU"]
    code, told = finish(start(tmp_path))
    assert code == 75, told
    assert "cannot be reached: Connection refused" in summary_of(told)["jobs"][0]["reason"]
