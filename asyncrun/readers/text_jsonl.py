"""Readers of text files: plain or Markdown, a file a record; of lines, a record each; and of JSON lines, an object each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from asyncrun.errors import Place
from asyncrun.readers.byte_lines import decode_utf8, numbered_lines, too_long, whole
from asyncrun.readers.interface import BadRecord, Record

_WORDS = {str: "a string", bool: "a truth value", int: "a number", float: "a number", list: "a list", type(None): "null"}


def read_text(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield the file as one record; its line ends stay as they are. Raises StorageError when it cannot be read."""
    data = whole(path, shown)
    if data is None:
        yield BadRecord(Place(shown), "bad_record", f"{too_long('file')}; set format: lines if a line is a text")
        return
    try:
        yield Record({"text": decode_utf8(data, "file")}, Place(shown))
    except UnicodeError as error:
        yield BadRecord(Place(shown), "bad_text", str(error))


def read_lines(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield a record a line, without its line end; blank lines are no records but are counted.

    Raises StorageError when the file cannot be read to its end.
    """
    for number, line in numbered_lines(path, shown):
        place = Place(shown, number)
        if line is None:
            yield BadRecord(place, "bad_record", too_long("line"))
            continue
        try:
            text = decode_utf8(line, "line")
        except UnicodeError as error:
            yield BadRecord(place, "bad_text", str(error))
            continue
        if text and not text.isspace():
            yield Record({"text": text}, place)


def read_jsonl(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield a record a line; blank lines are no records but are counted.

    Raises StorageError when the file cannot be read to its end.
    """
    for number, line in numbered_lines(path, shown):
        if line is None:
            yield BadRecord(Place(shown, number), "bad_record", too_long("line"))
        elif line and not line.isspace():
            place = Place(shown, number)
            try:
                value: Any = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield _refused(line, place, error)
                continue
            if isinstance(value, dict):
                yield Record(value, place)
            else:
                yield BadRecord(place, "bad_record", f"not a JSON object but {_WORDS[type(value)]}")


def _refused(line: bytes, place: Place, error: orjson.JSONDecodeError) -> BadRecord:
    try:
        decode_utf8(line, "line")
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
