"""Writes that are committed together keep their order, and what fails harms nobody who comes later."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from asyncrun.errors import StorageError
from asyncrun.ledger.group_writer import GroupWriter


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[GroupWriter]:
    opened = GroupWriter(tmp_path / "ledger.db")
    yield opened
    opened.close()


@pytest.mark.asyncio
async def test_writes_happen_in_the_order_in_which_they_came_and_those_for_one_function_in_one_call(writer: GroupWriter) -> None:
    begun, disk, seen = threading.Event(), threading.Event(), []

    def first(connection: sqlite3.Connection) -> None:
        begun.set()
        waited_for(disk)

    def one(connection: sqlite3.Connection) -> None:
        seen.append(["alone"])

    def together(connection: sqlite3.Connection, things: Sequence[str]) -> None:
        seen.append(list(things))

    busy = asyncio.create_task(writer.write(first))
    await asyncio.to_thread(waited_for, begun)
    writes = [writer.write_together(together, "a"), writer.write_together(together, "b"), writer.write(one)]
    tasks = [asyncio.create_task(write) for write in (*writes, writer.write_together(together, "c"))]
    await asyncio.sleep(0)
    disk.set()
    await asyncio.gather(busy, *tasks)
    assert seen == [["a", "b"], ["alone"], ["c"]]


@pytest.mark.asyncio
async def test_a_write_that_fails_takes_back_what_was_written_with_it_and_later_ones_go_on(writer: GroupWriter, tmp_path: Path) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        insert(connection)
        raise ValueError("a mistake of ours")

    with pytest.raises(ValueError, match="a mistake of ours"):
        await writer.write(broken)
    with pytest.raises(StorageError, match="no such table"):
        await writer.write(lambda connection: insert(connection, "nowhere"))
    await writer.write(lambda connection: insert(connection, name="kept"))
    assert await asyncio.to_thread(names, tmp_path / "ledger.db") == ["kept"]


@pytest.mark.parametrize(
    "wrong", [ValueError("a mistake of ours"), FileNotFoundError(2, "No such file"), "a row that may not be", "too few values"]
)
@pytest.mark.asyncio
async def test_what_fails_by_itself_harms_nobody_who_shares_its_commit_and_no_good_ledger_is_set_aside(
    writer: GroupWriter, tmp_path: Path, wrong: Exception | str
) -> None:
    disk = threading.Event()

    def blamed_index(connection: sqlite3.Connection) -> None:
        insert(connection, name="blamed_index")
        if isinstance(wrong, Exception):
            raise wrong
        if wrong == "too few values":
            connection.execute("INSERT INTO spaces (fingerprint, description) VALUES (?, ?)", ("one",))
        insert(connection, name="blamed_index")

    busy = await begun(writer, disk)
    writes = [writer.write(partial(insert, name="paid")), writer.write(blamed_index), writer.write(partial(insert, name="paid too"))]
    tasks = [asyncio.create_task(write) for write in writes]
    await asyncio.sleep(0)
    disk.set()
    _, *told = await asyncio.gather(busy, *tasks, return_exceptions=True)
    assert [error is None for error in told] == [True, False, True]
    assert await asyncio.to_thread(names, tmp_path / "ledger.db") == ["paid", "paid too"]
    assert not (tmp_path / "ledger.db.mend").exists()


@pytest.mark.asyncio
async def test_a_full_disk_is_told_to_all_who_share_a_commit(writer: GroupWriter) -> None:
    disk, tried = threading.Event(), []

    def full(connection: sqlite3.Connection) -> None:
        tried.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    busy = await begun(writer, disk)
    tasks = [asyncio.create_task(writer.write(write)) for write in (insert, full, insert)]
    await asyncio.sleep(0)
    disk.set()
    _, *told = await asyncio.gather(busy, *tasks, return_exceptions=True)
    assert all(isinstance(error, StorageError) and "No space left" in str(error) for error in told)
    assert tried == [1]


@pytest.mark.asyncio
async def test_who_no_longer_waits_keeps_nobody_else_waiting(writer: GroupWriter) -> None:
    disk, written = threading.Event(), []
    busy = await begun(writer, disk)
    gone, stays = (asyncio.create_task(writer.write(lambda connection: written.append(1))) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    disk.set()
    await asyncio.wait_for(asyncio.gather(busy, stays), 30)
    assert gone.cancelled()
    assert len(written) == 2


def test_who_waited_in_a_loop_that_is_gone_keeps_nobody_else_waiting(writer: GroupWriter) -> None:
    disk, written = threading.Event(), threading.Event()

    async def leave() -> None:
        task = asyncio.create_task(writer.write(lambda connection: waited_for(disk)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    disk.set()
    asyncio.run(writer.write(lambda connection: written.set()))
    assert written.is_set()


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.asyncio
async def test_what_is_written_into_a_file_that_was_removed_or_replaced_is_not_called_durable(
    writer: GroupWriter, tmp_path: Path, replaced: bool
) -> None:
    await writer.write(lambda connection: insert(connection, name="before"))
    await asyncio.to_thread((tmp_path / "ledger.db").unlink)
    if replaced:
        await asyncio.to_thread((tmp_path / "ledger.db").write_bytes, b"")
    with pytest.raises(StorageError, match="was removed or replaced while it was in use") as told:
        await writer.write(insert)
    assert told.value.hint is not None


def insert(connection: sqlite3.Connection, table: str = "spaces", name: str = "lost") -> None:
    connection.execute(f"INSERT INTO {table} (fingerprint, description) VALUES (?, '')", (name,))


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT fingerprint FROM spaces")]


async def begun(writer: GroupWriter, disk: threading.Event) -> asyncio.Task[None]:
    """Return a write that is under way, alone in its commit, until there is a disk."""
    started = threading.Event()

    def wait(connection: sqlite3.Connection) -> None:
        started.set()
        waited_for(disk)

    task = asyncio.create_task(writer.write(wait))
    await asyncio.to_thread(waited_for, started)
    return task


def waited_for(disk: threading.Event) -> None:
    assert disk.wait(30)
