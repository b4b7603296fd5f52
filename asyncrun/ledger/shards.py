"""What the shards of a job have left in a ledger: which of them have finished, and what failed; as lines of a portable ledger, too.

A shard is a job of its own there: `jobs.yaml/notes.shard-2-of-4`. The whole takes its failures over (`job_records.known_failures`).
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from asyncrun.grammar.shard import Shard
from asyncrun.ledger.answers import find_answers
from asyncrun.ledger.checksums import checksum, is_whole, with_sum
from asyncrun.ledger.job_records import KnownFailure, read_failure
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.spaces import space_of
from asyncrun.records import KEY_BYTES, Space

_SHARD = re.compile(r"(.+)/([^/]+)\.shard-([0-9]+)-of-([0-9]+)")
_CHOSEN = re.compile(r"\.[0-9a-f]{16}$")
"""What follows the name of a job file in a state folder that was chosen: its home on that machine."""
FAILURES_OF_A_LINE = 500
MOST_SHARDS = 999_999


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What is known of one shard of one job; `file` is the name of the job file, `space` that of its vectors, "" before it has finished."""

    file: str
    job: str
    number: int
    of: int
    space: str = ""
    failures: tuple[KnownFailure, ...] = ()

    @property
    def name(self) -> str:
        """Return what follows the job file in the name that a ledger keeps it under."""
        return f"{self.job}{Shard(self.number, self.of).suffix}"


def file_name(job_file: str) -> str:
    """Return the bare name of a job file, given what a state folder keeps it under.

    >>> file_name("jobs.yaml.0123456789abcdef")
    'jobs.yaml'
    """
    return _CHOSEN.sub("", job_file)


def shard_records(connection: sqlite3.Connection) -> Iterator[ShardRecord]:
    """Yield what is known of the shards of all jobs. Blocks. What is damaged is left out."""
    spaces = {row[0]: row[1] for row in connection.execute("SELECT * FROM job_spaces WHERE job GLOB '*.shard-*'") if is_whole(row)}
    failures: dict[str, list[KnownFailure]] = defaultdict(list)
    for row in connection.execute("SELECT * FROM failures WHERE job GLOB '*.shard-*' ORDER BY job, item"):
        if is_whole(row):
            failures[row[0]].append(read_failure(row[:-1]))
    for name in sorted({*spaces, *failures}):
        if words := _SHARD.fullmatch(name):
            shard = file_name(words[1]), words[2], int(words[3]), int(words[4])
            yield ShardRecord(*shard, spaces.get(name, ""), tuple(failures[name]))


def shard_lines(records: Iterable[ShardRecord]) -> Iterator[bytes]:
    """Yield lines of a portable ledger that say what is known of shards; one with many failures has several."""
    for record in records:
        shard = {"job_file": record.file, "job": record.job, "number": record.number, "of": record.of}
        for start in range(0, max(len(record.failures), 1), FAILURES_OF_A_LINE):
            failures = [_fields(known) for known in record.failures[start : start + FAILURES_OF_A_LINE]]
            fields = {"shard": shard, "space": record.space, "failures": failures}
            yield orjson.dumps({**fields, "sum": _sum(fields)}) + b"\n"


def read_shard(fields: Mapping[str, Any]) -> ShardRecord:
    """Return what such a line says. Raises ValueError, TypeError and KeyError for another one."""
    if _sum({name: fields[name] for name in ("shard", "space", "failures")}) != fields["sum"]:
        raise ValueError("it does not fit its checksum")
    shard, space = fields["shard"], str(fields["space"])
    if space and not isinstance(json.loads(space), dict):
        raise ValueError("its space is described by no object")
    number, of = int(shard["number"]), int(shard["of"])
    if not 1 <= number <= of <= MOST_SHARDS:
        raise ValueError(f"there is no shard {number} of {of}")
    return ShardRecord(str(shard["job_file"]), str(shard["job"]), number, of, space, tuple(map(_known, fields["failures"])))


def joined(records: Iterable[ShardRecord]) -> list[ShardRecord]:
    """Return one record for each shard, with all failures that several say of it."""
    found: dict[tuple[str, str], list[ShardRecord]] = defaultdict(list)
    for record in records:
        found[record.file, record.name].append(record)
    return [_one(each) for each in found.values()]


async def put_shards(ledger: Ledger, job_file: str, records: Sequence[ShardRecord]) -> None:
    """Take in what is known of shards, in the place of what was; `job_file` is what the ledger keeps their job file under."""

    def write(connection: sqlite3.Connection) -> None:
        for record in records:
            job = f"{job_file}/{record.name}"
            connection.execute("DELETE FROM failures WHERE job = ?", (job,))
            rows = [with_sum(*known.row(job)) for known in record.failures]
            connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            if record.space:
                connection.execute("INSERT OR REPLACE INTO job_spaces VALUES (?, ?, ?)", with_sum(job, record.space))

    await ledger.write(write)


def still_failed(ledger: Ledger, failures: Sequence[KnownFailure]) -> tuple[KnownFailure, ...]:
    """Return those failures of which no text is finished, and no question answered. Blocks."""
    answered = find_answers(ledger, [known.key for known in failures])
    told = {space: space_of(ledger, space) for space in {known.space for known in failures} if space}
    indexes = {name: ledger.index(Space(**{"provider": "", "model": "", **space})) for name, space in told.items() if space is not None}

    def is_finished(known: KnownFailure) -> bool:
        if known.key in answered:
            return True
        is_text = known.space in indexes and len(known.key) == KEY_BYTES
        return is_text and bool(indexes[known.space].find(keys_array(known.key))[0] >= 0)

    return tuple(known for known in failures if not is_finished(known))


def _one(records: Sequence[ShardRecord]) -> ShardRecord:
    first, space = records[0], next((record.space for record in records if record.space), "")
    failures = {known.failure.id: known for record in records for known in record.failures}
    return ShardRecord(first.file, first.job, first.number, first.of, space, tuple(failures.values()))


def _fields(known: KnownFailure) -> list[Any]:
    _, item, space, key, *rest = known.row("")
    return [item, space, base64.b64encode(key).decode(), *rest]


def _known(fields: Sequence[Any]) -> KnownFailure:
    item, space, key, *rest = fields
    return read_failure(("", item, space, base64.b64decode(key, validate=True), *rest))


def _sum(fields: Mapping[str, Any]) -> str:
    return checksum(json.dumps(fields, sort_keys=True).encode()).hex()
