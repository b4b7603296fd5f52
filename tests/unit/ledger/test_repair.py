"""A damaged ledger: what is whole is kept, what is not is named and its items are new."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import DamagedStateError, LockedError, Place, StorageError
from asyncrun.ledger.answers import find_answers, put_answers
from asyncrun.ledger.job_records import (
    Amount,
    KnownFailure,
    SpendingAccount,
    generation_of,
    known_failures,
    last_space,
    open_refresh,
    record_finished,
    set_failures,
)
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import TRUNCATED, Finished, Ledger
from asyncrun.ledger.repair import RepairedLedger, repair_ledger, request_repair
from asyncrun.ledger.spaces import add_servers, add_token_rate, known_servers, token_rate
from asyncrun.records import Answer, ItemFailure, Space, text_key
from tests.depth import DEEP

SPACE = Space("local", "model-a")
BATCHES, SIZE, DIMENSIONS = 40, 16, 384
PAGE = 8192


def vectors_of(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(SIZE, DIMENSIONS)).astype(np.float32)


def keys_of(batch: int) -> list[bytes]:
    return [text_key(f"{batch}/{number}") for number in range(SIZE)]


async def fill(path: Path, batches: range = range(BATCHES)) -> None:
    ledger = Ledger(path)
    for batch in batches:
        await ledger.put(SPACE, Finished(keys_of(batch), vectors_of(batch), [0] * SIZE))
    await asyncio.to_thread(ledger.close)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "ledger.db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "ledger.db"))


def finished(path: Path, warn: Callable[[str], object] = lambda words: None) -> set[int]:
    """Return the batches that are there; every one of them is as it was written."""
    ledger = Ledger(path, warn)
    try:
        index = ledger.index(SPACE)
        found = set()
        for batch in range(BATCHES):
            positions = index.find(keys_array(b"".join(keys_of(batch))))
            if (positions >= 0).all():
                assert np.array_equal(np.stack(ledger.vectors(index, positions)), vectors_of(batch))
                found.add(batch)
            else:
                assert (positions < 0).all()
        return found
    finally:
        ledger.close()


def until_mended(path: Path) -> tuple[set[int], list[RepairedLedger], list[str]]:
    """Do what runs do, one after the other, until one of them finds nothing damaged: two are enough."""
    mended, named = [], []
    for _ in range(3):
        if told := repair_ledger(path, lambda: None):
            mended.append(told)
        try:
            return finished(path, named.append), mended, named
        except DamagedStateError:
            continue
    raise AssertionError("damage is found again and again")


def nobody_else() -> None:
    pass


def test_a_whole_ledger_is_left_alone(path: Path) -> None:
    assert repair_ledger(path, nobody_else) is None
    assert finished(path) == set(range(BATCHES))
    assert repair_ledger(path.with_name("none.db"), nobody_else) is None


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bytes_anywhere_lose_a_few_batches_and_never_give_a_wrong_vector(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(3):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    kept, _, _ = until_mended(path)
    assert len(kept) >= BATCHES - 8


def test_a_zeroed_page_anywhere_loses_its_own_batches_only(path: Path) -> None:
    data = path.read_bytes()
    pages = list(range(len(data) // PAGE))
    # The first ones say how the file is built.
    for page in (*pages[:8], *pages[8 :: 1 if DEEP else 4]):
        path.write_bytes(data[: page * PAGE] + bytes(PAGE) + data[(page + 1) * PAGE :])
        kept, _, _ = until_mended(path)
        assert len(kept) >= BATCHES - 8, page
        for file in path.parent.iterdir():
            file.unlink()


@pytest.mark.parametrize("part", [0.35, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_set_aside_and_its_whole_rows_are_kept(path: Path, part: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    kept, mended, _ = until_mended(path)
    assert len(kept) >= int(BATCHES * part) - 8
    assert mended[0].aside.name == "ledger.db.damaged"
    assert mended[0].aside.exists()
    assert mended[0].batches == len(kept)
    assert mended[0].vectors == len(kept) * SIZE


def test_all_damaged_rows_are_found_at_once_and_named(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE batches SET vectors = zeroblob(length(vectors)) WHERE id IN (3, 30)")
        connection.execute("UPDATE batches SET keys = zeroblob(length(keys)) WHERE id = 20")
    connection.close()
    named: list[str] = []
    with pytest.raises(DamagedStateError, match="2 batches"):
        finished(path, named.append)
    assert [words.split()[1] for words in named] == ["20", "3", "30"]
    assert finished(path, named.append) == set(range(BATCHES)) - {2, 19, 29}
    assert len(named) == 3


def test_damage_that_only_reading_finds_is_mended_at_the_next_start(path: Path) -> None:
    data = bytearray(path.read_bytes())
    leaf = next(at for at in range(PAGE, len(data), PAGE) if data[at] == 0x0D and data[at + 4] > 2)  # of `batches`
    cell = leaf + int.from_bytes(data[leaf + 8 : leaf + 10], "big")
    data[cell + 9 : cell + 12] = b"\xff\xff\x7f"  # the record says that its keys are longer than all of it
    path.write_bytes(data)
    assert repair_ledger(path, nobody_else) is None
    with pytest.raises(DamagedStateError, match="malformed"):
        finished(path)
    told = repair_ledger(path, nobody_else)
    assert told is not None
    assert len(finished(path)) == told.batches >= BATCHES - 1


def test_who_only_looks_asks_for_no_mending(path: Path) -> None:
    path.write_bytes(b"this is no database" * 5000)
    ledger = Ledger(path)
    with pytest.raises(DamagedStateError):
        ledger.index(SPACE)
    ledger.close()
    assert list(path.parent.iterdir()) == [path]


def test_answers_on_pages_that_sqlite_does_not_find_any_more_are_kept_the_newest_of_each(path: Path) -> None:
    keys = [text_key(f"question {number}") for number in range(400)]
    states = []
    for word in ("old", "new"):
        ledger = Ledger(path)
        asyncio.run(put_answers(ledger, SPACE, {key: Answer(f"{word} " * 20, "stop") for key in keys}))
        ledger.close()
        states.append(path.read_bytes())
    with sqlite3.connect(path) as connection:
        roots = dict(connection.execute("SELECT name, (rootpage - 1) * ? FROM sqlite_master", (PAGE,)))
    connection.close()
    old, data = states[0], bytearray(states[1])
    written = next(at for at in range(0, len(old), PAGE) if b"old old" in old[at : at + PAGE])
    # A page that was given back keeps what stood on it.
    for name, page in (("answers", bytes(PAGE)), ("sqlite_autoindex_answers_1", old[written : written + PAGE])):
        data[roots[name] : roots[name] + PAGE] = page
    path.write_bytes(data)
    told = repair_ledger(path, nobody_else)
    assert told is not None
    assert told.answers == len(keys)
    assert "400 answers were kept" in str(told)
    ledger = Ledger(path)
    assert set(find_answers(ledger, keys).values()) == {Answer("new " * 20, "stop")}
    ledger.close()


def test_what_is_no_database_at_all_is_set_aside(path: Path) -> None:
    path.write_bytes(b"this is no database" * 5000)
    told = repair_ledger(path, nobody_else)
    assert told is not None
    assert (told.vectors, told.batches) == (0, 0)
    assert told.aside.read_bytes().startswith(b"this is no database")
    assert finished(path) == set()


def test_commits_of_a_torn_log_are_new_again_and_the_others_stay(path: Path) -> None:
    keep = sqlite3.connect(path)  # as long as somebody has it open, the log is not taken into the file
    keep.execute("SELECT count(*) FROM batches").fetchone()
    ledger = Ledger(path)
    asyncio.run(_put_more(ledger))
    torn = path.with_name("torn.db")
    shutil.copy(path, torn)
    log = bytearray(path.with_name("ledger.db-wal").read_bytes())
    log[len(log) // 2] ^= 1
    torn.with_name("torn.db-wal").write_bytes(log)
    ledger.close()
    keep.close()
    kept, mended, named = until_mended(torn)
    assert kept >= set(range(BATCHES))
    assert not mended
    assert not named


async def _put_more(ledger: Ledger) -> None:
    for batch in range(BATCHES, BATCHES + 6):
        await ledger.put(SPACE, Finished(keys_of(batch), vectors_of(batch), [0] * SIZE))


def test_while_another_run_uses_it_nothing_is_touched(path: Path) -> None:
    def somebody() -> None:
        raise LockedError("another run")

    data = path.read_bytes()[:60_000]
    path.write_bytes(data)
    with pytest.raises(LockedError):
        repair_ledger(path, somebody)
    assert path.read_bytes() == data


def test_a_ledger_of_a_newer_version_is_refused_and_stays_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DamagedStateError, match="newer"):
        repair_ledger(path, nobody_else)
    assert not path.with_name("ledger.db.damaged").exists()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


def test_a_kill_between_the_two_renames_is_made_up_for(path: Path) -> None:
    path.rename(path.with_name("ledger.db.salvaged"))
    assert repair_ledger(path, nobody_else) is None
    assert finished(path) == set(range(BATCHES))


def test_where_the_disk_has_no_room_for_the_new_file_the_old_one_stays(path: Path) -> None:
    data = path.read_bytes()[:-20_000]
    path.write_bytes(data)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StorageError):
            repair_ledger(path, nobody_else)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == data
    kept, _, _ = until_mended(path)
    assert len(kept) > BATCHES // 2


async def _write_down(path: Path) -> None:
    ledger = Ledger(path)
    cut = Finished([text_key("cut")], np.ones((1, DIMENSIONS), np.float32), [TRUNCATED])
    await ledger.put(SPACE, cut)
    await put_answers(ledger, SPACE, {b"k" * 16: Answer("yes", "stop", 1, 2)})
    await SpendingAccount(ledger, "jobs.yaml/a").add(Amount(7, 0.5))
    await open_refresh(ledger, ["jobs.yaml/a"])
    await add_servers(ledger, SPACE, ["here"])
    await ledger.write(lambda connection: add_token_rate(connection, SPACE, 3, 12))
    await record_finished(ledger, "jobs.yaml/b", SPACE)
    failure = KnownFailure(ItemFailure("x", Place("in.jsonl", 1), "refused", "no"), SPACE.fingerprint, bytes(16))
    await set_failures(ledger, "jobs.yaml/a", [failure])
    await asyncio.to_thread(ledger.close)


def known_besides_vectors(path: Path) -> list[object]:
    ledger = Ledger(path)
    try:
        index = ledger.index(SPACE)
        return [
            index.flags(index.find(keys_array(text_key("cut")))).tolist(),
            find_answers(ledger, [b"k" * 16]),
            SpendingAccount(ledger, "jobs.yaml/a").balance(),
            generation_of(ledger, "jobs.yaml/a"),
            known_servers(ledger, SPACE),
            token_rate(ledger, SPACE),
            last_space(ledger, "jobs.yaml/b"),
            known_failures(ledger, "jobs.yaml/a"),
        ]
    finally:
        ledger.close()


def test_what_is_known_besides_vectors_is_kept_too(path: Path) -> None:
    asyncio.run(_write_down(path))
    before = known_besides_vectors(path)
    request_repair(path)
    assert repair_ledger(path, lambda: None) is not None
    assert known_besides_vectors(path) == before


def test_a_refresh_that_goes_on_sees_what_takes_the_place_of_lost_batches(path: Path) -> None:
    asyncio.run(_write_down(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert repair_ledger(path, lambda: None) is not None
    ledger = Ledger(path)
    try:
        since = generation_of(ledger, "jobs.yaml/a").since
        asyncio.run(ledger.put(SPACE, Finished([text_key("new")], np.ones((1, DIMENSIONS), np.float32), [0])))
        assert ledger.index(SPACE, since).find(keys_array(text_key("new"))).tolist() == [0]
    finally:
        ledger.close()
