"""Readers of lines, a record each, and of JSON lines, an object each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from asyncrun.errors import Place
from asyncrun.readers.byte_lines import decode_line, numbered_lines, too_long
from asyncrun.readers.interface import BadRecord, Record

_WORDS = {str: "a string", bool: "a truth value", int: "a number", float: "a number", list: "a list", type(None): "null"}


def read_lines(path: Path, shown: str, *, encoding: str | None = None) -> Iterator[Record | BadRecord]:
    """Yield a record a line, without its line end; blank lines are no records but are counted.

    Raises StorageError when the file cannot be read to its end.
    """
    for number, line in numbered_lines(path, shown, encoding=encoding):
        place = Place(shown, number)
        if line is None:
            yield BadRecord(place, "bad_record", too_long("line"))
            continue
        try:
            text = decode_line(line, encoding)
        except UnicodeError as error:
            yield BadRecord(place, "bad_text", str(error))
            continue
        if text and not text.isspace():
            yield Record({"text": text}, place)


def read_jsonl(path: Path, shown: str, *, encoding: str | None = None) -> Iterator[Record | BadRecord]:
    """Yield a record a line; blank lines are no records but are counted.

    Raises StorageError when the file cannot be read to its end.
    """
    for number, line in numbered_lines(path, shown, encoding=encoding):
        if line is None:
            yield BadRecord(Place(shown, number), "bad_record", too_long("line"))
        elif line and not line.isspace():
            place = Place(shown, number)
            try:
                value: Any = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield _refused(line, place, error, encoding)
                continue
            if isinstance(value, dict):
                yield Record(value, place)
            else:
                yield BadRecord(place, "bad_record", f"not a JSON object but {_WORDS[type(value)]}")


def _refused(line: bytes, place: Place, error: orjson.JSONDecodeError, encoding: str | None) -> BadRecord:
    try:
        decode_line(line, encoding)
    except UnicodeError as bad_text:
        return BadRecord(place, "bad_text", str(bad_text))
    # The parser refuses \ud800 without its other half: such a text could not be sent as UTF-8.
    halved = "surrogate" in error.msg
    at = Place(place.file, place.line, error.colno)
    return BadRecord(at, "bad_text" if halved else "bad_record", f"not JSON: {error.msg}", _loosely_read(line) if halved else {})


def _loosely_read(line: bytes) -> dict[str, Any]:
    """Return the fields of an object that holds half of a surrogate pair, which the library's own parser lets pass."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
