"""What is put into the ledger is durable, found again, and never wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import DamagedStateError, Place, StorageError
from asyncrun.ledger.connection import explained
from asyncrun.ledger.job_records import KnownFailure, is_current_output, known_failures, record_output, set_failures
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import ItemFailure, Space, text_key

SPACE = Space("local", "model-a")
OTHER = Space("local", "model-b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(path, warn=lambda words: None)
    yield opened
    opened.close()


def finished(*texts: str) -> Finished:
    vectors = np.array([[len(text), ord(text[0]), 0.5] for text in texts], dtype=np.float32)
    return Finished([text_key(text) for text in texts], vectors, [0] * len(texts))


async def vectors_of(ledger: Ledger, space: Space, *texts: str) -> list[list[float] | None]:
    return await asyncio.to_thread(_vectors_of, ledger, space, *texts)


def _vectors_of(ledger: Ledger, space: Space, *texts: str) -> list[list[float] | None]:
    index = ledger.index(space)
    positions = index.find(keys_array(b"".join(map(text_key, texts))))
    return [None if position < 0 else ledger.vectors(index, positions[row : row + 1])[0].tolist() for row, position in enumerate(positions)]


@pytest.mark.asyncio
async def test_a_vector_is_found_under_its_text_in_its_space_only(ledger: Ledger) -> None:
    await ledger.put(SPACE, finished("one", "three"))
    await ledger.put(SPACE, finished("two"))
    assert await vectors_of(ledger, SPACE, "two", "one", "four") == [[3.0, 116.0, 0.5], [3.0, 111.0, 0.5], None]
    assert await vectors_of(ledger, OTHER, "one") == [None]


def put_by_another(path: Path, space: Space, text: str) -> None:
    with closing(Ledger(path)) as other:
        asyncio.run(other.put(space, finished(text)))


def test_what_another_process_finishes_or_cleans_away_is_seen_at_the_next_look(path: Path, ledger: Ledger) -> None:
    def seen() -> list[str]:
        texts = ("one", "two", "three", "four")
        return [text for text, vector in zip(texts, _vectors_of(ledger, SPACE, *texts), strict=True) if vector is not None]

    put_by_another(path, SPACE, "one")
    put_by_another(path, SPACE, "two")
    assert seen() == ["one", "two"]
    put_by_another(path, OTHER, "four")
    put_by_another(path, SPACE, "three")
    assert seen() == ["one", "two", "three"]
    with closing(sqlite3.connect(path, isolation_level=None)) as cleaning:
        cleaning.execute("DELETE FROM batches WHERE id = 1")
    put_by_another(path, SPACE, "four")
    assert seen() == ["two", "three", "four"]


@pytest.mark.asyncio
async def test_a_look_at_what_is_finished_since_a_batch_leaves_out_that_and_what_was_before(ledger: Ledger) -> None:
    for text in ("one", "two", "three"):
        await ledger.put(SPACE, finished(text))
        keys = keys_array(b"".join(map(text_key, ("one", "two", "three"))))
        since_first = (await asyncio.to_thread(ledger.index, SPACE, 1)).find(keys) >= 0
        assert since_first.tolist() == [False, text != "one", text == "three"]


@pytest.mark.asyncio
async def test_vectors_are_there_after_the_ledger_was_closed(path: Path) -> None:
    first = Ledger(path)
    await first.put(SPACE, finished("one"))
    await asyncio.to_thread(first.close)
    second = Ledger(path)
    assert await vectors_of(second, SPACE, "one") == [[3.0, 111.0, 0.5]]
    await asyncio.to_thread(second.close)


@pytest.mark.asyncio
async def test_texts_are_never_stored(path: Path, ledger: Ledger) -> None:
    await ledger.put(SPACE, finished("a secret sentence"))
    await asyncio.to_thread(ledger.close)
    assert b"secret sentence" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


@pytest.mark.asyncio
async def test_only_its_owner_can_read_it(path: Path, ledger: Ledger) -> None:
    await ledger.put(SPACE, finished("one"))
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == dict.fromkeys(
        ("ledger.db", "ledger.db-wal", "ledger.db-shm"), "0o600"
    )


@pytest.mark.asyncio
async def test_a_flipped_byte_of_a_vector_is_named_and_its_batch_becomes_new(path: Path, ledger: Ledger) -> None:
    await ledger.put(SPACE, finished("one"))
    await ledger.put(SPACE, finished("two"))
    with sqlite3.connect(path) as connection:
        blob = bytearray(connection.execute("SELECT vectors FROM batches WHERE id = 1").fetchone()[0])
        blob[2] ^= 1
        connection.execute("UPDATE batches SET vectors = ? WHERE id = 1", (bytes(blob),))
    connection.close()
    with pytest.raises(DamagedStateError, match="batch 1"):
        await vectors_of(ledger, SPACE, "one")
    assert await vectors_of(ledger, SPACE, "one", "two") == [None, [3.0, 116.0, 0.5]]


@pytest.mark.asyncio
async def test_a_flipped_byte_of_a_key_leaves_its_batch_out(path: Path, ledger: Ledger) -> None:
    await ledger.put(SPACE, finished("one"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE batches SET keys = zeroblob(16)")
    connection.close()
    assert await vectors_of(ledger, SPACE, "one") == [None]


def test_a_ledger_of_a_newer_version_is_refused(path: Path, ledger: Ledger) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DamagedStateError, match="newer"):
        ledger.index(SPACE)


def test_a_file_that_is_no_database_is_named(path: Path, ledger: Ledger) -> None:
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DamagedStateError, match=r"ledger\.db"):
        ledger.index(SPACE)


@pytest.mark.asyncio
async def test_writing_to_a_file_that_is_no_database_fails_every_caller(path: Path, ledger: Ledger) -> None:
    path.write_bytes(b"this is no database" * 100)
    for text in ("one", "two"):
        with pytest.raises(DamagedStateError):
            await ledger.put(SPACE, finished(text))


@pytest.mark.asyncio
async def test_failures_of_a_job_replace_its_former_ones(ledger: Ledger) -> None:
    failure = KnownFailure(ItemFailure("7", Place("a.jsonl", 3), "too_long", "300 tokens", 2), "space", text_key("x"))
    await set_failures(ledger, "nightly", [failure])
    await set_failures(ledger, "other", [])
    assert (await asyncio.to_thread(known_failures, ledger, "nightly")) == {"7": failure}
    await set_failures(ledger, "nightly", [])
    assert (await asyncio.to_thread(known_failures, ledger, "nightly")) == {}


@pytest.mark.asyncio
async def test_an_output_is_current_until_it_or_its_mark_changes(ledger: Ledger, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("{}\n")
    await record_output(ledger, output, "mark")
    assert await asyncio.to_thread(is_current_output, ledger, output, "mark")
    assert not await asyncio.to_thread(is_current_output, ledger, output, "another mark")
    output.write_text("{}\n{}\n")
    assert not await asyncio.to_thread(is_current_output, ledger, output, "mark")
    output.unlink()
    assert not await asyncio.to_thread(is_current_output, ledger, output, "mark")
    with pytest.raises(StorageError, match=r"the output .*out\.jsonl cannot be found: No such file"):
        await record_output(ledger, output, "mark")


def test_a_ledger_whose_file_is_gone_is_not_blamed_on_the_disk(path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    assert "was removed or replaced while it was in use" in explained(error, path).message
    path.touch()
    assert explained(error, path).message.endswith(": disk I/O error")
