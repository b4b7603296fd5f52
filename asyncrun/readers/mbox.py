"""The reader of mailboxes: a message after the other, each a record at the line where it begins."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asyncrun.errors import Place
from asyncrun.readers.byte_lines import LONGEST, numbered_lines
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.parse_pool import ParserPool, Parsing
from asyncrun.readers.read_ahead import begun_ahead
from asyncrun.usage import usable_processors

_PARSER = "asyncrun.readers.mail:parse_eml"
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


def read_mbox(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield the messages of a mailbox, each at the line where it begins, parsed in processes that can be ended.

    Raises StorageError when the file cannot be read to its end, after the messages before.
    """
    with tempfile.TemporaryDirectory(prefix="asyncrun-") as folder, ParserPool(usable_processors()) as pool:
        messages = _spooled(path, shown, Path(folder))
        for message, parsing in begun_ahead(((message, pool.begin(_PARSER, message.file, shown)) for message in messages), pool.ahead):
            yield _taken(pool, message, parsing, shown)


class _Spooled(NamedTuple):
    line: int
    file: Path
    problem: str = ""


def _spooled(path: Path, shown: str, folder: Path) -> Iterator[_Spooled]:
    """Yield where each message begins, and the file that holds it, one that does not begin as one included."""
    first, parts, size, blank = 1, list[bytes](), 0, True
    for number, line in numbered_lines(path, shown, with_ends=True):
        if line is not None and blank and line.startswith(b"From "):
            if parts or size:
                yield _spool(folder, first, parts, size)
            first, parts, size = number, [], 0
        elif line is None or size > LONGEST:
            size = LONGEST + 1
            parts.clear()
        elif number > 1 or line.strip():
            parts.append(line)
            size += len(line)
        blank = line is not None and not line.strip()
    if parts or size:
        yield _spool(folder, first, parts, size)


def _spool(folder: Path, line: int, parts: list[bytes], size: int) -> _Spooled:
    file = folder / str(line)
    file.write_bytes(_QUOTED_FROM.sub(rb"\1", b"".join(parts)))
    return _Spooled(line, file, f"the message is longer than {LONGEST >> 20} MB" if size > LONGEST else "")


def _taken(pool: ParserPool, message: _Spooled, parsing: Parsing, shown: str) -> Record | BadRecord:
    record = pool.take(parsing)
    message.file.unlink(missing_ok=True)
    place = Place(shown, message.line)
    if message.problem:
        return BadRecord(place, "bad_record", message.problem)
    if isinstance(record, BadRecord):
        return BadRecord(place, record.reason, record.message)
    return Record(record.fields, place, record.remark)
