"""Answers of chat models, durable like vectors, by what was asked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import orjson

from asyncrun.ledger.batches import add_space
from asyncrun.ledger.checksums import answer_sum, is_answer
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.schema import newest_id
from asyncrun.records import Answer, Space, text_key

KEYS_AT_ONCE = 500
"""Keys of one statement; SQLite takes 999 parameters everywhere."""
_EMPTY = "UPDATE answers SET answer = x'', answer_sum = answer_sum(id, key, x'') WHERE id = ?"
"""An answer that is dropped keeps its number, as a batch does."""
_PUT = "INSERT OR REPLACE INTO answers (id, key, answer, answer_sum, space) SELECT ?, ?, ?, ?, id FROM spaces WHERE fingerprint = ?"


def answer_key(space: Space, messages: Sequence[tuple[str, str]]) -> bytes:
    """Return the 16 bytes that stand for (role, content) messages as they are sent to a model with its settings.

    >>> answer_key(Space("openai", "m"), [("user", "a")]) == answer_key(Space("openai", "n"), [("user", "a")])
    False
    """
    return text_key(json.dumps([space.fingerprint, *(list(message) for message in messages)], ensure_ascii=True))


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


async def put_answers(ledger: Ledger, space: Space, answers: Mapping[bytes, Answer]) -> None:
    """Store answers of a model in the place of former ones; returns when they are durable."""
    blobs = [(key, orjson.dumps(asdict(answer))) for key, answer in answers.items()]

    def write(connection: sqlite3.Connection) -> None:
        add_space(connection, space)
        numbered = enumerate(blobs, newest_id(connection, "answers") + 1)
        rows = [(number, key, blob, answer_sum(number, key, blob), space.fingerprint) for number, (key, blob) in numbered]
        connection.executemany(_PUT, rows)

    await ledger.write(write)
