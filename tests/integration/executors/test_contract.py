"""Each executor keeps what every executor promises; that of Ray has its suite where there is a cluster."""

import pytest

from asyncrun.clock import SystemClock
from asyncrun.executors.local import LocalExecutor
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.executors.watched import WatchedExecutor
from asyncrun.registry import BUILT_IN, load
from asyncrun.testing.executors import ExecutorContract, OpenExecutor


class TestLocalExecutor(ExecutorContract):
    own_process = False

    @pytest.fixture
    def open_executor(self) -> OpenExecutor:
        return lambda _workers: LocalExecutor(slots=3)


class TestProcessExecutor(ExecutorContract):
    @pytest.fixture
    def open_executor(self) -> OpenExecutor:
        return lambda workers: ProcessExecutor(workers, slots_per_worker=3)


class TestWatchedExecutor(ExecutorContract):
    own_process = False

    @pytest.fixture
    def open_executor(self) -> OpenExecutor:
        return lambda _workers: WatchedExecutor(LocalExecutor(slots=3), SystemClock(), warn=str)


def test_every_built_in_name_has_a_suite() -> None:
    with_suites = {"local": LocalExecutor, "processes": ProcessExecutor}
    assert {name: load("executors", name) for name in BUILT_IN["executors"].keys() - {"ray"}} == with_suites
