"""The executor of Ray keeps what every executor promises, on a cluster of two nodes that are killed, frozen and joined by others."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncrun import __version__
from asyncrun.errors import JobFailedError, TryLaterError, WorkerLostError
from asyncrun.testing.executors import PATIENCE, ExecutorContract, OpenExecutor, closing, until
from asyncrun.testing.worker_parts import RehearsalPart
from tests.ray_cluster import ROOT, RayTestCluster, ray_cluster

if TYPE_CHECKING:
    from asyncrun.executors.ray import RayExecutor

pytestmark = pytest.mark.needs("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayTestCluster]:
    with ray_cluster(cpus=2) as cluster:
        yield cluster


@pytest.fixture
def part(tmp_path: Path) -> RehearsalPart:
    return RehearsalPart(str(tmp_path), secret="hunter2-hunter2")


@pytest.fixture(scope="module", autouse=True)
def joined(cluster: RayTestCluster) -> Iterator[None]:
    """Have this process be a driver all the time: Ray keeps the files and sockets of each that has been one."""
    from asyncrun.executors import ray_cluster as module

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        patched.setattr(module, "LEAVE_WITHIN", 120.0)
        entered = asyncio.run(module.join(cluster.address))
        yield
        asyncio.run(entered.leave())


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Look at threads alone: Ray closes its connections to workers when it likes, and its log files at the end of the process."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + PATIENCE
    while left := [thread.name for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def opened(cluster: RayTestCluster, processes: int | None = None, **options: float) -> RayExecutor:
    from asyncrun.executors.ray import RayExecutor

    return RayExecutor(cluster.address, processes, slots_per_worker=3, **options)  # type: ignore[arg-type]


class TestRayExecutor(ExecutorContract):
    @pytest.fixture
    def open_executor(self, cluster: RayTestCluster) -> OpenExecutor:
        return lambda workers: opened(cluster, workers)


@pytest.mark.asyncio
async def test_nodes_that_freeze_and_die_cost_the_calls_on_them_and_one_that_joins_takes_their_place(
    cluster: RayTestCluster, part: RehearsalPart
) -> None:
    second = cluster.add_node()
    async with closing(opened(cluster, 3)) as executor:
        for ending in (signal.SIGSTOP, signal.SIGKILL):
            await until_there_are(executor, part, 3)
            calls = [asyncio.ensure_future(executor.run(part, "hang")) for _ in range(9)]
            await until(lambda calls=calls: hanging(part) >= len(calls))  # type: ignore[misc]
            second.kill() if ending == signal.SIGKILL else second.signal(ending)
            await until(lambda calls=calls: sum(call.done() for call in calls) >= 3)  # type: ignore[misc]
            lost, others = [call for call in calls if call.done()], [call for call in calls if not call.done()]
            assert [type(call.exception()) for call in lost] == [WorkerLostError] * 3
            assert len({str(call.exception()) for call in lost}) == 1
            assert str(lost[0].exception()).endswith(("its node is gone", "it cannot be reached any more"))  # what Ray notices first
            answers = await asyncio.gather(*(executor.run(part, "process") for _ in range(6)), *map(cancelled, others))
            assert not {int(answer.value["pid"]) for answer in answers[:6] if answer} & set(second.pids())
            (Path(part.folder) / "notes").unlink()
            second.kill()
            second = cluster.add_node()
        await until_there_are(executor, part, 3)
    second.kill()


async def until_there_are(executor: RayExecutor, part: RehearsalPart, workers: int) -> None:
    """Wait until so many workers answer."""
    found: set[str] = set()
    async with asyncio.timeout(60):
        while len(found) < workers:
            answers = await asyncio.gather(*(executor.run(part, "give_back", 0) for _ in range(executor.slots)))
            found = {answer.worker for answer in answers}


def hanging(part: RehearsalPart) -> int:
    return part.notes().count("hanging")


async def cancelled(call: asyncio.Future[Any]) -> None:
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call


@pytest.mark.asyncio
async def test_a_secret_is_nowhere_in_the_cluster(cluster: RayTestCluster, part: RehearsalPart) -> None:
    import ray
    from ray.experimental import internal_kv

    async with closing(opened(cluster, 1)) as executor:
        for value in (1, "x" * 1_000_000):
            await executor.run(part, "give_back", (part.secret, value))
        with pytest.raises(ValueError, match="wrong"):
            await executor.run(part, "raise_it", ValueError("wrong"))
        secret = part.secret.encode()
        for pid in [pid for node in cluster.nodes for pid in node.pids()]:
            for name in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{pid}/{name}").read_bytes()
        stored = [internal_kv._internal_kv_get(key) for key in internal_kv._internal_kv_list(b"")]
        assert secret not in repr([stored, ray.nodes(), ray._private.state.actors(), ray._private.state.jobs()]).encode()
    logs = [path for path in cluster.logs.resolve().rglob("*") if path.is_file()]
    assert len(logs) > 5
    assert [path.name for path in logs if secret in path.read_bytes()] == []


@pytest.mark.asyncio
async def test_a_cluster_without_room_says_what_a_worker_takes(cluster: RayTestCluster, part: RehearsalPart) -> None:
    async with closing(opened(cluster, 1, cpus=1, gpus=2, patience=0.5)) as executor:
        with pytest.raises(TryLaterError, match=r"had no worker for 0 s: one takes 1 CPU and 2 GPU$"):
            await executor.run(part, "give_back", 1)


@pytest.mark.asyncio
async def test_without_a_number_there_are_as_many_workers_as_the_nodes_have_room_for(cluster: RayTestCluster, part: RehearsalPart) -> None:
    async with closing(opened(cluster)) as executor:
        assert (await executor.run(part, "give_back", 1)).value == 1
        assert executor.workers == 2


@pytest.mark.asyncio
async def test_another_version_on_a_node_is_told_with_the_node(
    cluster: RayTestCluster, part: RehearsalPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncrun.executors.ray_pool.__version__", "99.9")
    async with closing(opened(cluster, 2)) as executor:
        for _ in range(2):
            with pytest.raises(JobFailedError, match=rf"^node \S+ has asyncrun {re.escape(__version__)}, this process 99.9$"):
                await executor.run(part, "give_back", 1)


@pytest.mark.asyncio
async def test_a_node_without_asyncrun_is_named(cluster: RayTestCluster, part: RehearsalPart, tmp_path: Path) -> None:
    from asyncrun.executors.ray_nodes import look

    shutil.copy(ROOT / "tests" / "programs" / "without_asyncrun.py", tmp_path / "sitecustomize.py")
    node = cluster.add_node(PYTHONPATH=str(tmp_path))
    sentence = r"^node \S+ has no asyncrun that works: No module named 'asyncrun'$"
    problems = [problem for _, problem in (await look(cluster.address)).nodes]
    assert sorted(re.fullmatch(sentence, problem or "") is not None for problem in problems) == [False, True]
    async with closing(opened(cluster, 3)) as executor:
        with pytest.raises(JobFailedError, match=sentence):
            while True:
                await executor.run(part, "give_back", 1)
    node.kill()
