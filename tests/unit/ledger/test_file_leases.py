"""A lease is as good as its lock: what has none is removed by the next one to look, whatever is in it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncrun.ledger.file_leases import AnswerLease, TextLease
from asyncrun.records import EmbedFailure, text_key

ONE, TWO = text_key("one"), text_key("two")


@pytest.fixture
def take(tmp_path: Path) -> Iterator[Callable[..., tuple[list[bool], TextLease]]]:
    """Takes texts; the leases end with the test."""
    taken: list[TextLease] = []

    def ask(*keys: bytes, space: str = "space") -> tuple[list[bool], TextLease]:
        taken.append(TextLease(tmp_path, "jobs.yaml/job"))
        return taken[-1].take(space, b"".join(keys)).tolist(), taken[-1]

    yield ask
    for lease in taken:
        lease.close()


Take = Callable[..., tuple[list[bool], TextLease]]


def leave_behind(folder: Path) -> Path:
    """Do what a killed process does: the file stays, the lock does not."""
    [held] = folder.iterdir()
    left = held.rename(folder / f"left{held.suffix}")
    held.write_bytes(left.read_bytes())
    left.unlink()
    return held


def test_what_a_killed_process_had_belongs_to_the_next_one_and_its_file_is_removed(take: Take, tmp_path: Path) -> None:
    take(ONE)
    left = leave_behind(tmp_path)
    mine, lease = take(ONE, TWO)
    assert (mine, lease.others) == ([True, True], [])
    assert not left.exists()


def test_of_two_leases_each_is_told_how_many_texts_it_has(take: Take) -> None:
    take(ONE)
    take(TWO)
    mine, lease = take(ONE, ONE, TWO)
    assert mine == [False] * 3
    assert sorted(other.texts for other in lease.others) == [1, 2]


def test_a_lease_without_a_text_is_no_file(take: Take, tmp_path: Path) -> None:
    take(ONE)
    take(ONE)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_lease_that_ends_before_it_is_taken_is_never_taken(tmp_path: Path) -> None:
    texts, answer = TextLease(tmp_path, "jobs.yaml/job"), AnswerLease(tmp_path, ONE)
    for lease in (texts, answer):
        lease.end()
    texts.take("space", ONE)
    assert not answer.take()
    texts.close()
    assert list(tmp_path.iterdir()) == []


def test_what_failed_is_told_to_those_who_hold_the_lease_at_its_end(take: Take) -> None:
    _, first = take(ONE, TWO)
    _, second = take(TWO)
    first.failed[TWO] = EmbedFailure(1, "refused", "nein: ünzulässig", 4)
    [other] = second.others
    assert not other.has_ended()
    first.end()
    assert other.has_ended()
    assert other.failed() == {TWO: EmbedFailure(0, "refused", "nein: ünzulässig", 4)}


def test_a_file_that_is_no_lease_is_in_nobodys_way(take: Take, tmp_path: Path) -> None:
    broken = tmp_path / "broken.texts"
    broken.write_bytes(b"no lease")
    with broken.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert take(ONE)[0] == [True]
        assert broken.exists()
    take(TWO)
    assert not broken.exists()


def test_an_answer_belongs_to_one_and_then_to_the_next(tmp_path: Path) -> None:
    first, second, other = AnswerLease(tmp_path, ONE), AnswerLease(tmp_path, ONE), AnswerLease(tmp_path, TWO)
    assert [lease.take() for lease in (first, second, other)] == [True, False, True]
    first.end()
    assert second.take()
    for lease in (second, other):
        lease.end()
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_a_killed_process_asked_for_belongs_to_the_next_one(tmp_path: Path) -> None:
    killed = AnswerLease(tmp_path, ONE)
    assert killed.take()
    leave_behind(tmp_path)
    lease = AnswerLease(tmp_path, ONE)
    assert lease.take()
    lease.end()
    killed.end()
