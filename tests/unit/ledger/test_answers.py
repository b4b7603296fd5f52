"""Answers are durable, found by what was asked of whom, and believed only when they are whole."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from asyncrun.ledger.answers import answer_key, find_answers, mean_output, put_answers
from asyncrun.ledger.ledger import Ledger
from asyncrun.records import Answer, Space

SPACE = Space("openai", "m")
KEYS = [answer_key(SPACE, [("user", f"question {number}")]) for number in range(1200)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def test_what_is_asked_of_whom_makes_the_key():
    messages = [("system", "a"), ("user", "b")]
    keys = {
        answer_key(SPACE, messages),
        answer_key(Space("openai", "n"), messages),
        answer_key(SPACE, messages[1:]),
        answer_key(SPACE, [("user", "a"), ("user", "b")]),
        answer_key(SPACE, [("system", "ab"), ("user", "")]),
    }
    assert len(keys) == 5
    assert answer_key(SPACE, messages) == answer_key(Space("openai", "m"), list(messages))


def test_an_answer_is_found_again_by_another_process_however_many_are_asked_for(path, ledger):
    answers = {KEYS[0]: Answer("Ja: \u00e4\0\U0001f600", "stop", 20, 3), KEYS[1100]: Answer(None, None)}
    for key, answer in answers.items():
        asyncio.run(put_answers(ledger, SPACE, {key: answer}))
    again = Ledger(path)
    assert find_answers(again, KEYS) == answers
    again.close()


def test_a_damaged_answer_is_as_good_as_absent(path, ledger):
    for key, text in zip(KEYS, ("Yes.", "No."), strict=False):
        asyncio.run(put_answers(ledger, SPACE, {key: Answer(text, "stop")}))
    connection = sqlite3.connect(path)
    [(blob,)] = connection.execute("SELECT answer FROM answers WHERE key = ?", (KEYS[0],))
    with connection:
        connection.execute("UPDATE answers SET answer = ? WHERE key = ?", (blob.replace(b"Yes", b"yes"), KEYS[0]))
    connection.close()
    assert find_answers(ledger, KEYS[:2]) == {KEYS[1]: Answer("No.", "stop")}


@pytest.mark.parametrize("damaged", [b"\xff not JSON", "words", None, b'{"output_tokens": 9000}'])
def test_how_long_answers_are_is_foreseen_by_those_that_are_whole(path, ledger, damaged):
    for key, tokens in zip(KEYS, (10, 20), strict=False):
        asyncio.run(put_answers(ledger, SPACE, {key: Answer("Yes.", "stop", 5, tokens)}))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE answers SET answer = coalesce(?, x'') WHERE key = ?", (damaged, KEYS[0]))
    assert mean_output(ledger, SPACE) == 20
