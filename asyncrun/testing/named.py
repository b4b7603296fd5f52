"""Faults by name: what real servers and the network between have been seen to do wrong, for tests and for rehearsals from the shell."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from asyncrun.testing.dialects import error_body
from asyncrun.testing.faults import Fault, error

Document = dict[str, Any]
# The row that is spoilt where one is: not the first, which some servers treat in a way of its own.
_GUILTY = 1
_FEW = 3
"""Events of a stream that come before something happens: the first names the role, the others have a word each."""


def fault(name: str, **options: Any) -> Fault:
    """Return a fault by its name, with `when`, `times` and `after` (or any other field) as given.

    It does what its name says in every dialect. One of indexes or of the model's name does nothing in a dialect that has none.

    >>> fault("throttled", times=3).status
    429

    Raises ValueError for an unknown name.
    """
    if name not in FAULTS:
        raise ValueError(f"no fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    if "body" in options:
        options.setdefault("translated", False)
    return replace(FAULTS[name](), **options)


def parse_fault(text: str) -> Fault:
    """Return a fault from its name, or from JSON with the fields of `Fault`, as the command line takes it.

    In JSON, `name` takes a named fault as the start, `body` may be text or a document, and `text` chooses the requests that hold it.

    >>> parse_fault("crash").status, parse_fault('{"name": "throttled", "times": null}').times
    (500, None)

    Raises ValueError or TypeError for what is no fault.
    """
    if not text.lstrip().startswith("{"):
        return fault(text)
    given = json.loads(text)
    name, body, needle = (given.pop(key, None) for key in ("name", "body", "text"))
    if body is not None:
        given["body"] = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    if needle is not None:
        given["when"] = lambda request: any(needle in text for text in request.texts)
    return fault(name, **given) if name is not None else Fault(**given)


def _changed(change: Callable[[list[Any]], Any]) -> Fault:
    def whole(document: Document) -> Document:
        rows = list(document["data"])
        changed = change(rows)
        return {**document, "data": rows if changed is None else changed}

    return Fault(spoil=whole)


def _vectors(change: Callable[[list[float]], Any]) -> Fault:
    """Spoil one vector; the only one where there is one alone."""

    def rows(data: list[Any]) -> None:
        place = min(_GUILTY, len(data) - 1)
        data[place] = {**data[place], "embedding": change(_numbers(data[place]["embedding"]))}

    return _changed(rows)


def _numbers(vector: Any) -> list[float]:
    import base64

    import numpy as np

    return np.frombuffer(base64.b64decode(vector), "<f4").tolist() if isinstance(vector, str) else list(vector)


def _fused(data: list[Any]) -> list[Any]:
    vectors = [_numbers(row["embedding"]) for row in data]
    return [{**data[0], "embedding": [sum(numbers) / len(vectors) for numbers in zip(*vectors, strict=True)]}]


def _same_index(data: list[Any]) -> list[Any]:
    return [{**row, "index": 0} for row in data]


def _without_index(data: list[Any]) -> list[Any]:
    return [{name: value for name, value in row.items() if name != "index"} for row in data]


def _without_zero(data: list[Any]) -> list[Any]:
    return [*_without_index(data[:1]), *data[1:]]


def _written(document: Any, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a document as Python's servers write it, with NaN and Infinity, which are no JSON."""
    return before + json.dumps(document).encode() + after


def _spoilt(number: float | str) -> Fault:
    return replace(_vectors(lambda vector: [number, *vector[1:]]), change=_written)


def _halved(document: Any) -> bytes:
    whole = _written(document)
    return whole[: len(whole) // 2]


def _begun(*then: bytes, **options: Any) -> Fault:
    """Let a stream begin, with what comes then instead of its rest."""
    return Fault(events=lambda events: [*events[:_FEW], *then], **options)


FAULTS: Mapping[str, Callable[[], Fault]] = {
    # Refusals.
    "throttled": partial(error, 429, "Rate limit reached", kind="requests", code="rate_limit_exceeded", headers={"retry-after": "2"}),
    "quota": partial(error, 429, "You exceeded your current quota", kind="insufficient_quota", code="insufficient_quota"),
    "wait_a_day": partial(error, 429, "Rate limit reached", kind="requests", code="rate_limit_exceeded", headers={"retry-after": "86400"}),
    "bad_key": partial(error, 401, "Incorrect API key provided", code="invalid_api_key"),
    "unknown_model": partial(error, 404, "The model does not exist", code="model_not_found"),
    "crash": partial(error, 500, "The server had an error while processing your request", kind="server_error"),
    "bad_gateway": partial(Fault, status=502, body=b"<html><head><title>502 Bad Gateway</title></head></html>"),
    "unavailable": partial(Fault, status=503, body=b"<html><body>Service Unavailable</body></html>"),
    "gateway_timeout": partial(Fault, status=504, body=b"<html><body>Gateway Time-out</body></html>"),
    "too_large": partial(Fault, status=413, body=b"<html><body>413 Request Entity Too Large</body></html>"),
    "redirect": partial(Fault, status=307, headers={"location": "http://elsewhere.invalid/v1/embeddings"}),
    "html": partial(Fault, body=b"<!doctype html><title>Welcome</title>", headers={"content-type": "text/html"}),
    # The connection.
    "silent": partial(Fault, delay=3600.0),
    "slow": partial(Fault, drip=1.0),
    "reset": partial(Fault, cut=-1),
    "cut": partial(Fault, cut=40),
    "chunked_cut": partial(Fault, chunked=True, cut=40),
    "hang_up": partial(Fault, hang_up=True),
    "gzip_bomb": lambda: Fault(body=gzip.compress(bytes(100 * 2**20)), headers={"content-encoding": "gzip"}),
    "endless": partial(Fault, body=b" " * 2**20, repeat=1024),
    "stacked_encodings": partial(Fault, headers={"content-encoding": "gzip, gzip, gzip, gzip, gzip"}),
    # Streams of chat completions; whole replies stay as they are.
    "stream_cut": partial(_begun, hang_up=True),
    "stream_unfinished": _begun,
    "stream_error": lambda: _begun(b"data: " + error_body("the upstream failed", kind="server_error") + b"\n\n"),
    "stream_slow": partial(Fault, pause=1.0),
    # Status 200, and wrong.
    "truncated": partial(Fault, change=_halved),
    "trailing_garbage": partial(Fault, change=partial(_written, after=b"\n}]")),
    "byte_order_mark": partial(Fault, change=partial(_written, before=b"\xef\xbb\xbf")),
    "error_in_200": partial(error, 200, "the upstream failed", kind="upstream_error"),
    "other_model": partial(Fault, spoil=lambda document: {**document, "model": "another-model"}),
    "no_rows": partial(_changed, lambda data: data.clear()),
    "too_few": partial(_changed, lambda data: data[:-1]),
    "too_many": partial(_changed, lambda data: [*data, data[0]]),
    "fused": partial(_changed, _fused),
    "shuffled": partial(_changed, lambda data: data.reverse()),
    "same_index": partial(_changed, _same_index),
    "index_out_of_range": partial(_changed, lambda data: [*data[:-1], {**data[-1], "index": len(data)}]),
    "no_index": partial(_changed, _without_index),
    "no_index_0": partial(_changed, _without_zero),
    "null_vectors": partial(_changed, lambda data: [{**row, "embedding": None} for row in data]),
    "null_vector": partial(_vectors, lambda vector: None),
    "null_number": partial(_vectors, lambda vector: [None, *vector[1:]]),
    "nan": partial(_spoilt, float("nan")),
    "infinity": partial(_spoilt, float("-inf")),
    "too_large_number": lambda: replace(_spoilt("number"), change=lambda document: _written(document).replace(b'"number"', b"1e999")),
    "strings": partial(_vectors, lambda vector: [str(number) for number in vector]),
    "zeros": partial(_vectors, lambda vector: [0.0] * len(vector)),
    "short_vector": partial(_vectors, lambda vector: vector[:-1]),
    "other_dimensions": partial(_changed, lambda data: [{**row, "embedding": [*_numbers(row["embedding"]), 0.5]} for row in data]),
}
"""What can go wrong, by name. Each is fresh, hits one request and is narrowed or widened by the fields of `Fault`."""
