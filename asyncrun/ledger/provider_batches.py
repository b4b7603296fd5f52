"""Batches that wait, or have waited, at a provider: recorded before they are submitted and after, with the key of each request.

A batch is `intended` before anything of it is sent: nothing is there. It is `uploaded` before it is submitted: from now on it may be there,
and only the provider can tell. `submitted` it has an id; `collected` all that it has answered is in the ledger; `given_up` nobody asks for
it any more.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from asyncrun.ledger.checksums import is_whole, with_sum
from asyncrun.ledger.connection import sound_ledger
from asyncrun.records import KEY_BYTES

if TYPE_CHECKING:
    from asyncrun.ledger.ledger import Ledger

_LOST = "its rows are sent again; `asyncrun batches` shows what lies at the provider"
_PUT = f"INSERT OR REPLACE INTO provider_batches VALUES ({', '.join('?' * 18)})"


class RecordState(StrEnum):
    """How far a batch has come, as we know it."""

    INTENDED = "intended"
    UPLOADED = "uploaded"
    SUBMITTED = "submitted"
    COLLECTED = "collected"
    GIVEN_UP = "given_up"

    @property
    def open(self) -> bool:
        """Tell whether something of it may be at the provider that is still to be collected."""
        return self not in (RecordState.COLLECTED, RecordState.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """Why a request of a batch has failed: its number in the batch, a word as that of an ItemError, and a sentence."""

    number: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """What the ledger knows of a batch at a provider; the request of the number `i` has the custom id `TAG-i` and the i-th key.

    Attributes:
        tag: What names it there, 20 characters of [a-z0-9].
        job: The name that the ledger knows the job by which has made it.
        space: The fingerprint of the space that its vectors or answers come into.
        generation: That of the job.
        provider: As in the job file, such as `openai`.
        host: Of the endpoint.
        model: As the provider names it.
        purpose: `embeddings` or `chat`.
        state: How far it has come.
        file: The id of its file there, None where there is none, or not yet.
        batch: Its id there, None before it is submitted.
        created: Seconds since 1970.
        requests: How many.
        tokens: Reserved for it in the job's budget.
        cost: The same in USD, at the price of batches.
        failures: The requests that have failed, once it is collected.
        keys: 16 bytes each, one after the other, in the order of the requests.
    """

    tag: str
    job: str
    space: str
    generation: int
    provider: str
    host: str
    model: str
    purpose: str
    state: RecordState
    file: str | None
    batch: str | None
    created: float
    requests: int
    tokens: int
    cost: float
    failures: tuple[BatchFailure, ...]
    keys: bytes

    def key(self, number: int) -> bytes:
        """Return the key of a request."""
        return self.keys[number * KEY_BYTES : (number + 1) * KEY_BYTES]

    @property
    def row(self) -> tuple[Any, ...]:
        """Return its row of the table, with its checksum."""
        values = {name: getattr(self, name) for name in self.__slots__}
        told = orjson.dumps([astuple(failure) for failure in self.failures]).decode()
        # The checksum is that of what SQLite returns: plain texts, and REAL as a float.
        plain = {"state": str(self.state), "created": float(self.created), "cost": float(self.cost), "failures": told}
        return with_sum(*{**values, **plain}.values())


def _read(row: tuple[Any, ...]) -> BatchRecord:
    values = dict(zip(BatchRecord.__slots__, row, strict=True))
    failures = tuple(BatchFailure(*failure) for failure in orjson.loads(values["failures"]))
    return BatchRecord(**{**values, "state": RecordState(values["state"]), "failures": failures})


def provider_batches(ledger: Ledger, space: str) -> list[BatchRecord]:
    """Return the batches of a space, the oldest first. Blocks."""
    return [_read(row) for row in ledger.whole_rows("provider_batches", "space = ? ORDER BY created, tag", (space,), then=_LOST)]


def provider_batch(ledger: Ledger, tag: str) -> BatchRecord | None:
    """Return the batch of a tag, None for one that the ledger does not know. Blocks."""
    rows = ledger.whole_rows("provider_batches", "tag = ?", (tag,), then=_LOST)
    return _read(rows[0]) if rows else None


def known_batch_ids(ledger: Ledger, tag: str) -> frozenset[str]:
    """Return the ids, at their providers, of all batches but that of a tag. Blocks."""
    return frozenset(batch for (batch,) in ledger.read("SELECT batch FROM provider_batches WHERE batch IS NOT NULL AND tag != ?", (tag,)))


def all_provider_batches(path: Path) -> list[BatchRecord]:
    """Return the batches of all spaces of the ledger at `path`, the oldest first, without damaged rows. Blocks. Raises StorageError."""
    with sound_ledger(path) as connection:
        rows = connection.execute("SELECT * FROM provider_batches ORDER BY created, tag").fetchall()
    return [_read(row[:-1]) for row in rows if is_whole(row)]


async def put_provider_batch(ledger: Ledger, record: BatchRecord) -> None:
    """Put what is known of a batch in the place of what was; returns when it is durable."""
    row = record.row
    await ledger.write(lambda connection: _put(connection, row))


def waiting_lines(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Yield lines of a portable ledger, one for each batch that may be at its provider. Blocks. What is damaged is left out."""
    for row in connection.execute("SELECT * FROM provider_batches ORDER BY created, tag").fetchall():
        if is_whole(row) and (record := _read(row[:-1])).state in (RecordState.UPLOADED, RecordState.SUBMITTED):
            *values, keys, told = record.row
            fields = dict(zip(BatchRecord.__slots__, [*values, base64.b64encode(keys).decode()], strict=True))
            yield orjson.dumps({"provider_batch": fields, "sum": told.hex()}) + b"\n"


def read_waiting(fields: Mapping[str, Any]) -> BatchRecord:
    """Return the batch of such a line. Raises ValueError, TypeError and KeyError for another one."""
    told = {name: fields["provider_batch"][name] for name in BatchRecord.__slots__}
    row = (*{**told, "keys": base64.b64decode(told["keys"], validate=True)}.values(), bytes.fromhex(fields["sum"]))
    if not is_whole(row):
        raise ValueError("it does not fit its checksum")
    return _read(row[:-1])


async def add_waiting(ledger: Ledger, records: Sequence[BatchRecord]) -> None:
    """Take in batches of another ledger; one that is known stays as it is known."""
    rows = [record.row for record in records]

    def write(connection: sqlite3.Connection) -> None:
        connection.executemany(_PUT.replace("OR REPLACE", "OR IGNORE"), rows)

    await ledger.write(write)


def _put(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    connection.execute(_PUT, row)
