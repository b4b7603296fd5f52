"""Answers of chat models, durable like vectors, by what was asked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from asyncrun.ledger.batches import add_space
from asyncrun.ledger.checksums import answer_sum, is_answer
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.schema import newest_id
from asyncrun.ledger.spaces import add_token_rate
from asyncrun.records import Answer, Space, text_key

KEYS_AT_ONCE = 500
"""Keys of one statement; SQLite takes 999 parameters everywhere."""
SEEN = 1000
"""Answers by which the next ones are foreseen."""
_EMPTY = "UPDATE answers SET answer = x'', answer_sum = answer_sum(id, key, x'') WHERE id = ?"
"""An answer that is dropped keeps its number, as a batch does."""
_PUT = "INSERT OR REPLACE INTO answers (id, key, answer, answer_sum, space) VALUES "
_ROW = "(?, ?, ?, ?, (SELECT id FROM spaces WHERE fingerprint = ?))"
_ROWS_AT_ONCE = 32
"""Rows of one statement: a statement a row would hand the interpreter to another thread and back for each."""


def answer_key(space: Space, messages: Sequence[tuple[str, str]], schema: str | None = None, seed: int | None = None) -> bytes:
    """Return the 16 bytes that stand for (role, content) messages as they are sent to a model with its settings.

    `schema` is a word for that of the answer, `seed` the number that is sent along; None where there is none.

    >>> answer_key(Space("openai", "m"), [("user", "a")]) == answer_key(Space("openai", "n"), [("user", "a")])
    False
    >>> answer_key(Space("openai", "m"), [("user", "a")]) == answer_key(Space("openai", "m"), [("user", "a")], seed=1)
    False
    """
    more = {"schema": schema, "seed": seed}
    asked = [space.fingerprint, *messages, *([more] if schema is not None or seed is not None else [])]
    return text_key(json.dumps(asked, ensure_ascii=True))


def find_answers(ledger: Ledger, keys: Sequence[bytes], since: int = 0) -> dict[bytes, Answer]:
    """Return the answers that are finished; those up to the number `since` are left out. Blocks."""
    found: dict[bytes, Answer] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        statement = f"SELECT id, key, answer, answer_sum FROM answers WHERE key IN ({marks}) AND id > ?"
        for number, key, blob, told in ledger.read(statement, (*some, since)):
            if not is_answer(number, key, blob, told):
                ledger.drop(_EMPTY, (number,), f"answer {number} of the ledger", "its question is asked again")
            elif blob:
                found[key] = Answer(**orjson.loads(blob))
    return found


def answered(ledger: Ledger, keys: Sequence[bytes], since: int = 0) -> set[bytes]:
    """Return which of the keys have an answer, as `find_answers` finds it. Blocks."""
    some = (keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE))
    return {key for part in some for key in find_answers(ledger, part, since)}


def newest_answer(ledger: Ledger) -> int:
    """Return the number of the newest answer, 0 when there is none: one that takes its place has a higher one. Blocks."""
    [(newest,)] = ledger.read("SELECT coalesce(max(id), 0) FROM answers")
    return int(newest)


def mean_output(ledger: Ledger, space: Space) -> int | None:
    """Return how many tokens the newest answers of a space have had, None where there is none that says it. Blocks."""
    of_space = "space = (SELECT id FROM spaces WHERE fingerprint = ?)"
    statement = f"SELECT id, key, answer, answer_sum FROM answers WHERE {of_space} ORDER BY id DESC LIMIT ?"
    answers = [orjson.loads(row[2]) for row in ledger.read(statement, (space.fingerprint, SEEN)) if row[2] and is_answer(*row)]
    counted = [answer["output_tokens"] for answer in answers if answer.get("output_tokens")]
    return -(-sum(counted) // len(counted)) if counted else None


async def put_answers(ledger: Ledger, space: Space, answers: Mapping[bytes, Answer]) -> None:
    """Store answers of a model in the place of former ones; returns when they are durable."""
    rows = [AnswerRow(space, key, orjson.dumps(answer)) for key, answer in answers.items()]
    await ledger.write_together(_insert_many, rows)


async def put_answer(ledger: Ledger, space: Space, key: bytes, answer: Answer, size: int) -> None:
    """Store one answer as `put_answers` does, and with it how many tokens its request had in so many bytes, where the server says it."""
    counted = (answer.input_tokens, size) if answer.input_tokens and size else (0, 0)
    await ledger.write_together(_insert, AnswerRow(space, key, orjson.dumps(answer), *counted))


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer on its way into the ledger, as JSON, and the tokens that were counted in the bytes of its request, zeros for none."""

    space: Space
    key: bytes
    answer: bytes
    tokens: int = 0
    size: int = 0


def _insert_many(connection: sqlite3.Connection, several: Sequence[Sequence[AnswerRow]]) -> None:
    _insert(connection, [row for rows in several for row in rows])


def _insert(connection: sqlite3.Connection, rows: Sequence[AnswerRow]) -> None:
    spaces = {row.space.fingerprint: row.space for row in rows}
    for space in spaces.values():
        add_space(connection, space)
    numbered = list(enumerate(rows, newest_id(connection, "answers") + 1))
    for start in range(0, len(numbered), _ROWS_AT_ONCE):
        some = numbered[start : start + _ROWS_AT_ONCE]
        values = [(number, row.key, row.answer, answer_sum(number, row.key, row.answer), row.space.fingerprint) for number, row in some]
        connection.execute(_PUT + ", ".join([_ROW] * len(some)), [value for row in values for value in row])
    for fingerprint, space in spaces.items():
        counted = [(row.tokens, row.size) for row in rows if row.size and row.space.fingerprint == fingerprint]
        if counted:
            tokens, sizes = zip(*counted, strict=True)
            add_token_rate(connection, space, sum(tokens), sum(sizes))
