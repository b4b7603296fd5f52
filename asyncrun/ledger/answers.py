"""Answers of chat models, durable like vectors, by what was asked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import orjson

from asyncrun.ledger.ledger import Ledger, add_space
from asyncrun.ledger.schema import checksum
from asyncrun.records import Answer, Space, content_key

MOST_AT_ONCE = 500
"""Keys of one statement; SQLite takes 999 parameters everywhere."""


def answer_key(space: Space, messages: Sequence[tuple[str, str]], generation: int = 0) -> bytes:
    """Return the 16 bytes that stand for (role, content) messages as they are sent to a model with its settings.

    What is made anew has another `generation`.

    >>> answer_key(Space("openai", "m"), [("user", "a")]) == answer_key(Space("openai", "n"), [("user", "a")])
    False
    """
    made = [f"{space.fingerprint} {generation}" if generation else space.fingerprint, *(list(message) for message in messages)]
    return content_key(json.dumps(made, ensure_ascii=True))


def find_answers(ledger: Ledger, keys: Sequence[bytes]) -> dict[bytes, Answer]:
    """Return the answers that are finished. Blocks."""
    found: dict[bytes, Answer] = {}
    for start in range(0, len(keys), MOST_AT_ONCE):
        some = keys[start : start + MOST_AT_ONCE]
        marks = ", ".join("?" * len(some))
        for key, blob, told in ledger.read(f"SELECT key, answer, answer_sum FROM answers WHERE key IN ({marks})", tuple(some)):
            if checksum(blob) == told:
                found[key] = Answer(**orjson.loads(blob))
    return found


async def put_answers(ledger: Ledger, space: Space, answers: Mapping[bytes, Answer]) -> None:
    """Store answers of a model; returns when they are durable."""
    blobs = [(key, orjson.dumps(asdict(answer))) for key, answer in answers.items()]
    rows = [(key, blob, checksum(blob), space.fingerprint) for key, blob in blobs]

    def write(connection: sqlite3.Connection) -> None:
        add_space(connection, space)
        connection.executemany("INSERT OR REPLACE INTO answers SELECT ?, ?, ?, id FROM spaces WHERE fingerprint = ?", rows)

    await ledger.write(write)
