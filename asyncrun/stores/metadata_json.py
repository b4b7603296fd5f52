"""The metadata of documents and chunks as JSON, in which every store keeps them."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from asyncrun.errors import StorageError
from asyncrun.escape import printable

_SURROGATE = re.compile("[\ud800-\udfff]")


def metadata_json(doc_id: str, metadata: Mapping[str, Any]) -> str:
    """Return the metadata of a document, or of one of its chunks, as `dump_metadata` does. Raises StorageError that names the document."""
    try:
        return dump_metadata(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise no_json_form(doc_id, error) from error


def no_json_form(doc_id: str, error: Exception) -> StorageError:
    """Return what to raise for metadata that cannot be stored."""
    return StorageError(
        f"the metadata of document {printable(doc_id, 100)!r} cannot be stored as JSON: {error}",
        hint="Leave the field out of `metadata`, or make it text, numbers, lists and mappings.",
    )


def dump_metadata(metadata: Mapping[str, Any]) -> str:
    r"""Return metadata as one line of JSON: dates in ISO 8601, numbers that are not finite as null (JSON has no word for them).

    Characters stand as themselves, for databases that compare keys byte by byte; lone surrogates (parts of file names that are not
    UTF-8) are escaped, because UTF-8 cannot carry them.

    >>> dump_metadata({"größe": float("nan"), "name": "\udcff"})
    '{"größe":null,"name":"\\udcff"}'

    Raises TypeError, ValueError or RecursionError for what has no JSON form.
    """
    try:
        text = _dump(metadata)
    except ValueError:
        text = _dump(_finite(metadata))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
