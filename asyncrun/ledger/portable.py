"""A ledger as a portable file: JSON lines, the same on every machine, with a checksum on each.

The first line is `{"format": "asyncrun-ledger", "version": 1}`. Every other one is a batch: `space` (what `Space.describe` says),
`dimensions`, and in base64 `keys` (16 bytes each), `vectors` (float32, little-endian) and `flags` (a byte each); `sum` is BLAKE2b, 8 bytes
as hexadecimal digits, of keys, vectors and flags. Or it holds answers: `space` and `answers`, an object from the key in base64 to the
answer's JSON; `sum` is that of all keys and answers in their order. Files that are joined are one.

Version 2 has lines of shards beside those: `shard` (`job_file`, `job`, `number`, `of`), `space` (what `Space.describe` says, "" before it
has finished), `failures` and `sum`. A ledger without shards is written as version 1.

Version 3 has lines of what waits at a provider: `provider_batch`, what `ledger.provider_batches.BatchRecord` says, the keys in base64, and
`sum`. Who takes them in collects the same batch, and submits none of it.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from asyncrun.errors import Place, StorageError
from asyncrun.ledger.checksums import checksum, is_answer, is_batch
from asyncrun.ledger.connection import sound_ledger
from asyncrun.ledger.ledger import Finished
from asyncrun.ledger.provider_batches import BatchRecord, read_waiting, waiting_lines
from asyncrun.ledger.schema import FLOAT_BYTES
from asyncrun.ledger.shards import ShardRecord, read_shard, shard_lines, shard_records
from asyncrun.records import KEY_BYTES, Answer, Space

HEAD = {"format": "asyncrun-ledger", "version": 1}
HEAD_WITH_SHARDS = {**HEAD, "version": 2}
HEAD_WITH_BATCHES = {**HEAD, "version": 3}
ANSWERS_OF_A_LINE = 500
PortableBatch = Finished | Mapping[bytes, Answer]
"""What a line holds: vectors, or answers by key."""


def portable_lines(path: Path) -> Generator[tuple[bytes, int, int], None, None]:
    """Yield the lines of the portable form of a ledger, each with how many vectors and answers it has. Blocks.

    The newest come first, so that who takes them in one after the other keeps what was made last. What is damaged is left out.
    """
    statement = (
        "SELECT fingerprint, description, batches.id, count, dimensions, keys, keys_sum, vectors, vectors_sum, flags"
        " FROM batches JOIN spaces ON spaces.id = batches.space WHERE description != '' AND count > 0 ORDER BY batches.id DESC"
    )
    with sound_ledger(path) as connection:
        shards = list(shard_lines(shard_records(connection)))
        waiting = list(waiting_lines(connection))
        yield orjson.dumps(HEAD_WITH_BATCHES if waiting else HEAD_WITH_SHARDS if shards else HEAD) + b"\n", 0, 0
        yield from ((line, 0, 0) for line in [*shards, *waiting])
        for fingerprint, description, *batch in connection.execute(statement):
            if is_batch(fingerprint, tuple(batch)):
                _, _, dimensions, keys, _, vectors, _, flags = batch
                yield _line(description, dimensions, keys, vectors, flags), len(keys) // KEY_BYTES, 0
        for description, answers in _answers(connection):
            yield _line_of_answers(description, answers), 0, len(answers)


def is_portable(first_line: bytes) -> bool:
    """Tell whether a file that begins with this line is a portable ledger, of whatever version."""
    try:
        head = orjson.loads(first_line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(head, dict) and head.get("format") == HEAD["format"]


def read_portable(lines: Iterable[bytes], shown: str) -> Iterator[tuple[Space, PortableBatch] | ShardRecord | BatchRecord]:
    """Yield the batches of a portable ledger, its shards, and what waits at providers. Blocks.

    Raises StorageError, with the place, for what was not written so.
    """
    for number, line in enumerate(lines, 1):
        place = Place(shown, number)
        try:
            fields = orjson.loads(line)
            if "format" in fields:
                if fields not in (HEAD, HEAD_WITH_SHARDS, HEAD_WITH_BATCHES):
                    found = fields.get("version")
                    raise StorageError(f"a portable ledger of the version {found!r}, this asyncrun reads 1 to 3", place=place)
                continue
            if "shard" in fields:
                yield read_shard(fields)
                continue
            if "provider_batch" in fields:
                yield read_waiting(fields)
                continue
            space = Space(**{"provider": "", "model": "", **fields["space"]})
            yield space, (_batch_of_answers(fields) if "answers" in fields else _batch(fields))
        except (ValueError, TypeError, KeyError) as error:
            words = f"it has no {error}" if isinstance(error, KeyError) else error
            raise StorageError(f"not a whole batch: {words}", place=place, hint="Export the ledger again.") from error


def _answers(connection: sqlite3.Connection) -> Iterator[tuple[str, Sequence[tuple[bytes, bytes]]]]:
    """Yield keys and answers, as many as make a line, with what describes their space."""
    statement = (
        "SELECT description, answers.id, key, answer, answer_sum FROM answers JOIN spaces ON spaces.id = answers.space"
        " WHERE description != '' ORDER BY spaces.id, key"
    )
    for description, rows in groupby(connection.execute(statement), itemgetter(0)):
        whole = ((key, blob) for _, number, key, blob, told in rows if blob and is_answer(number, key, blob, told))
        while some := list(islice(whole, ANSWERS_OF_A_LINE)):
            yield description, some


def _line_of_answers(description: str, answers: Sequence[tuple[bytes, bytes]]) -> bytes:
    texts = {base64.b64encode(key).decode(): blob.decode() for key, blob in answers}
    told = _sum(*(part for answer in answers for part in answer))
    return orjson.dumps({"space": json.loads(description), "answers": texts, "sum": told}) + b"\n"


def _batch_of_answers(fields: Mapping[str, Any]) -> dict[bytes, Answer]:
    blobs = {base64.b64decode(key, validate=True): text.encode() for key, text in dict(fields["answers"]).items()}
    if _sum(*(part for answer in blobs.items() for part in answer)) != fields["sum"]:
        raise ValueError("it does not fit its checksum")
    if any(len(key) != KEY_BYTES for key in blobs):
        raise ValueError("a key has another size")
    return {key: Answer(**orjson.loads(blob)) for key, blob in blobs.items()}


def _line(description: str, dimensions: int, keys: bytes, vectors: bytes, flags: bytes) -> bytes:
    blobs = {"keys": keys, "vectors": vectors, "flags": flags}
    fields = {
        "space": json.loads(description),
        "dimensions": dimensions,
        **{name: base64.b64encode(blob).decode() for name, blob in blobs.items()},
    }
    return orjson.dumps({**fields, "sum": _sum(keys, vectors, flags)}) + b"\n"


def _batch(fields: Mapping[str, Any]) -> Finished:
    keys, vectors, flags = (base64.b64decode(fields[name], validate=True) for name in ("keys", "vectors", "flags"))
    count, dimensions = len(flags), int(fields["dimensions"])
    if _sum(keys, vectors, flags) != fields["sum"]:
        raise ValueError("it does not fit its checksum")
    if (len(keys), len(vectors)) != (count * KEY_BYTES, count * dimensions * FLOAT_BYTES) or not count:
        raise ValueError("its parts do not belong together")
    array = np.frombuffer(vectors, dtype="<f4").reshape(count, dimensions)
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return Finished([keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)], array, list(flags))


def _sum(*blobs: bytes) -> str:
    return checksum(b"".join(blobs)).hex()
