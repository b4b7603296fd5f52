"""What a row says is believed where it fits its checksum, and whatever is not is named."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.errors import Place
from asyncrun.ledger.answers import find_answers, put_answers
from asyncrun.ledger.job_records import (
    Amount,
    Generation,
    KnownFailure,
    SpendingAccount,
    Stopped,
    generation_of,
    known_failures,
    last_space,
    open_refresh,
    record_finished,
    set_failures,
)
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import TRUNCATED, Finished, Ledger
from asyncrun.ledger.repair import repair_ledger
from asyncrun.ledger.spaces import add_servers, add_token_rate, known_servers, token_rate
from asyncrun.records import Answer, ItemFailure, Space, text_key

SPACE, OTHER = Space("local", "a"), Space("local", "b")
QUESTION = text_key("a question")
FAILURE = KnownFailure(ItemFailure("x", Place("in.jsonl", 1), "server_error", "no"), SPACE.fingerprint, bytes(16))

KNOWN: dict[str, tuple[Callable[[Ledger], Any], Any]] = {
    "failures": (lambda ledger: known_failures(ledger, "job"), {}),
    "spending": (lambda ledger: SpendingAccount(ledger, "job").balance(), (Amount(), Stopped())),
    "token_rates": (lambda ledger: token_rate(ledger, SPACE), (0, 0)),
    "refreshes": (lambda ledger: generation_of(ledger, "job"), Generation()),
    "job_spaces": (lambda ledger: last_space(ledger, "job"), None),
    "places": (lambda ledger: known_servers(ledger, SPACE), frozenset()),
    "answers": (lambda ledger: find_answers(ledger, [QUESTION]), {}),
}
"""How each is looked at, and what is known when there is none."""
DAMAGE = [
    ("failures", "reason = 'server_drror'"),
    ("failures", "key = zeroblob(17)"),
    ("failures", "message = CAST(x'6eff' AS TEXT)"),
    ("spending", "tokens = tokens + 1024"),
    ("spending", "cost = cost / 2"),
    ("spending", "stopped_tokens = 8"),
    ("token_rates", "tokens = tokens + 4096"),
    ("refreshes", "since = since + 8"),
    ("refreshes", "open = 0"),
    ("job_spaces", "description = '{'"),
    ("places", "place = 'http://127.0.0.1:8001'"),
    ("answers", "answer = CAST(replace(CAST(answer AS TEXT), 'yes', 'yds') AS BLOB)"),
    ("answers", "id = id + 64"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    asyncio.run(write_down(path))
    return path


@pytest.fixture
def named() -> list[str]:
    return []


@pytest.fixture
def ledger(path: Path, named: list[str]) -> Iterator[Ledger]:
    with closing(Ledger(path, named.append)) as opened:
        yield opened


async def write_down(path: Path) -> None:
    ledger = Ledger(path)
    for space, value in ((SPACE, 1.0), (OTHER, 2.0)):
        await ledger.put(space, Finished([text_key("one"), text_key("two")], np.full((2, 3), value, np.float32), [0, TRUNCATED]))
    await put_answers(ledger, SPACE, {QUESTION: Answer("yes", "stop", 1, 2)})
    await record_finished(ledger, "job", SPACE)
    await SpendingAccount(ledger, "job").add(Amount(7, 0.5))
    await SpendingAccount(ledger, "job").stop(Stopped(9, 1))
    await open_refresh(ledger, ["job"])
    await add_servers(ledger, SPACE, ["http://127.0.0.1:8000"])
    await ledger.write(lambda connection: add_token_rate(connection, SPACE, 3, 12))
    await set_failures(ledger, "job", [FAILURE])
    await asyncio.to_thread(ledger.close)


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("table", KNOWN)
def test_what_was_written_is_found(ledger: Ledger, named: list[str], table: str) -> None:
    look, nothing = KNOWN[table]
    assert look(ledger) != nothing
    assert not named


@pytest.mark.parametrize(("table", "change"), DAMAGE)
def test_a_damaged_row_is_as_good_as_absent_and_is_named_once(
    path: Path, ledger: Ledger, named: list[str], table: str, change: str
) -> None:
    damage(path, f"UPDATE {table} SET {change}")
    look, nothing = KNOWN[table]
    assert [look(ledger), look(ledger)] == [nothing, nothing]
    [words] = named
    assert "of the ledger" in words
    assert "does not fit its checksum: it is dropped, and " in words


@pytest.mark.parametrize(("table", "change"), DAMAGE)
def test_who_only_looks_believes_it_no_more_and_leaves_it(path: Path, table: str, change: str) -> None:
    damage(path, f"UPDATE {table} SET {change}")
    look, nothing = KNOWN[table]
    with closing(Ledger(path)) as looking:
        assert look(looking) == nothing
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_a_damaged_account_is_not_added_to(path: Path, ledger: Ledger) -> None:
    damage(path, "UPDATE spending SET tokens = tokens + 1048576")
    asyncio.run(SpendingAccount(ledger, "job").add(Amount(5, 0.25)))
    assert SpendingAccount(ledger, "job").balance() == (Amount(5, 0.25), Stopped())


def vectors(ledger: Ledger, space: Space) -> dict[str, list[float]]:
    index = ledger.index(space)
    positions = index.find(keys_array(text_key("one") + text_key("two")))
    found = [name for name, position in zip(("one", "two"), positions.tolist(), strict=True) if position >= 0]
    return dict(zip(found, [vector.tolist() for vector in ledger.vectors(index, positions[positions >= 0])], strict=True))


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("space = 2 WHERE id = 1", "batch 1"),
        ("space = 1 WHERE id = 2", "batch 2"),
        ("id = 9 WHERE id = 1", "batch 9"),
        ("dimensions = 4 WHERE id = 1", "batch 1"),
        ("flags = flags WHERE id = 1", None),
        ("keys = (SELECT keys FROM batches WHERE id = 2), keys_sum = (SELECT keys_sum FROM batches WHERE id = 2) WHERE id = 1", "batch 1"),
    ],
)
def test_a_batch_is_believed_in_its_own_space_and_under_its_own_number_only(
    path: Path, ledger: Ledger, named: list[str], change: str, lost: str | None
) -> None:
    damage(path, f"UPDATE batches SET {change}")
    for space, value in ((SPACE, 1.0), (OTHER, 2.0)):
        assert all(vector == [value] * 3 for vector in vectors(ledger, space).values())
    assert [words for words in named if lost is None or not words.startswith(lost)] == []
    assert len(named) == (lost is not None)


def test_flags_are_found_again_behind_the_vectors(path: Path, ledger: Ledger, named: list[str]) -> None:
    damage(path, "UPDATE flagged SET batch = batch + 4, flags = x'0100'")
    index = ledger.index(SPACE)
    assert index.flags(index.find(keys_array(text_key("one") + text_key("two")))).tolist() == [0, TRUNCATED]
    assert not named


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE spaces SET fingerprint = replace(fingerprint, substr(fingerprint, 1, 1), 'z') WHERE id = 1",
        "UPDATE spaces SET description = replace(description, 'local', 'locam') WHERE id = 1",
        "UPDATE spaces SET id = 3 WHERE id = 1",
        "UPDATE spaces SET description = CAST(x'7bff7d' AS TEXT) WHERE id = 2",
    ],
)
def test_a_damaged_row_of_a_space_is_mended_and_costs_none_of_its_vectors(path: Path, change: str) -> None:
    damage(path, change)
    told = repair_ledger(path, lambda: None)
    assert told is not None
    assert (told.batches, told.lost) == (2, 0)
    with closing(Ledger(path)) as mended:
        assert vectors(mended, SPACE) == {"one": [1.0] * 3, "two": [1.0] * 3}
        assert vectors(mended, OTHER) == {"one": [2.0] * 3, "two": [2.0] * 3}
    assert repair_ledger(path, lambda: None) is None
