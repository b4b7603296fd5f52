"""What the fake server answers: vectors and errors in the dialect that is asked in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class FakeDialect:
    """How one dialect differs from OpenAI's, which needs no translation.

    `path` is how addresses end, `dimensions` the field that asks for them, `cuts` says whether a request wants long texts cut,
    `answer` translates OpenAI's answer, `refusal` a status and OpenAI's error. What OpenAI has and a dialect has not (indexes, the name of
    the model) is left out.
    """

    path: str
    dimensions: str
    cuts: Callable[[Mapping[str, Any]], bool]
    answer: Callable[[Mapping[str, Any]], Any]
    refusal: Callable[[int, Mapping[str, str]], Any]


def _vectors(answer: Mapping[str, Any]) -> list[Any]:
    return [row["embedding"] for row in answer["data"]]


def _code(error: Mapping[str, str]) -> str:
    """Return the word for programs."""
    return error["code"] or error["type"]


def _with_code(error: Mapping[str, str]) -> str:
    """Return the sentence, and with it the word for programs where the dialect has no other place for it."""
    return f"{error['message']} ({error['code']})" if error["code"] else error["message"]


def _tokens(answer: Mapping[str, Any]) -> int:
    return int(answer["usage"]["prompt_tokens"])


_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's words for statuses."""
_STATUSES = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}

_OPENAI = FakeDialect(
    "/embeddings",
    "dimensions",
    lambda document: True in (document.get("truncate"), document.get("truncation")),
    lambda answer: answer,
    lambda _, __: None,
)
_ISAACUS = FakeDialect(
    "/embeddings",
    "dimensions",
    lambda document: document.get("overflow_strategy", "drop_end") is not None,
    lambda answer: {
        "embeddings": [{name: row[name] for name in ("index", "embedding") if name in row} for row in answer["data"]],
        "usage": {"input_tokens": _tokens(answer)},
    },
    lambda status, error: {"type": _code(error), "title": "Refused", "status": status, "detail": error["message"], "instance": None},
)
_OTHERS = (
    FakeDialect(
        "/v2/embed",
        "output_dimension",
        lambda document: document.get("truncate", "END") != "NONE",
        lambda answer: {
            "id": "1",
            "embeddings": {"float": _vectors(answer)},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": _tokens(answer)}},
        },
        lambda _, error: {"message": _with_code(error)},
    ),
    FakeDialect(
        "/api/embed",
        "dimensions",
        lambda document: document.get("truncate") is not False,
        lambda answer: {"model": answer["model"], "embeddings": _vectors(answer), "prompt_eval_count": _tokens(answer)},
        lambda _, error: {"error": _with_code(error)},
    ),
    FakeDialect(
        ":batchEmbedContents",
        "outputDimensionality",
        lambda document: True,
        lambda answer: {"embeddings": [{"values": vector} for vector in _vectors(answer)]},
        lambda status, error: {
            "error": {
                "code": status,
                "message": error["message"],
                "status": _STATUSES.get(status, "INVALID_ARGUMENT"),
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": _code(error)}],
            }
        },
    ),
    *(
        FakeDialect(
            path,
            "dimensions",
            lambda document: document.get("truncate") is True,
            _vectors,
            lambda _, error: {"error": error["message"], "error_type": _code(error)},
        )
        for path in ("/embed", "/pipeline/feature-extraction")
    ),
)


def dialect_of(path: str, document: Any) -> FakeDialect | None:
    """Return the dialect that a request is in, None for a path that is none.

    >>> dialect_of("/v2/embed?a=b", {}).dimensions
    'output_dimension'
    """
    path = path.partition("?")[0]
    if path.endswith(_OPENAI.path):
        return _ISAACUS if isinstance(document, dict) and "texts" in document else _OPENAI
    return next((dialect for dialect in _OTHERS if path.endswith(dialect.path)), None)


def request_texts(document: Any) -> list[str]:
    """Return the texts of a request, whatever its dialect.

    >>> request_texts({"requests": [{"content": {"parts": [{"text": "a"}]}}]})
    ['a']
    """
    if not isinstance(document, dict):
        return []
    if isinstance(document.get("requests"), list):
        # Submissions of batches have requests of other forms under this name.
        contents = (request["content"] for request in document["requests"] if isinstance(request, dict) and "content" in request)
        return [part["text"] for content in contents for part in content["parts"]]
    given: str | list[str] = next((document[name] for name in ("input", "texts", "inputs") if document.get(name)), [])
    return [given] if isinstance(given, str) else list(given)


def asked_dimensions(dialect: FakeDialect, document: Mapping[str, Any]) -> int | None:
    """Return how many dimensions a request asks for, None when it does not say."""
    first = document.get("requests") or [document]
    asked = first[0].get(dialect.dimensions)
    return asked if isinstance(asked, int) else None


def shortened(texts: Sequence[str], max_tokens: int) -> list[str]:
    """Return texts cut to what the server takes: a token is four bytes of UTF-8."""
    return [text.encode()[: 4 * max_tokens].decode(errors="ignore") for text in texts]


def is_messages(path: str) -> bool:
    """Tell whether a path is that of Anthropic's messages."""
    return path.partition("?")[0].endswith("/messages")


def refusal(path: str, document: Any, status: int, body: bytes) -> bytes:
    """Return an error in OpenAI's shape as it is told in the dialect of a request; where it is in none, as it is."""
    if is_messages(path):
        return message_error(status, body)
    dialect = dialect_of(path, document)
    translated = None if dialect is None else dialect.refusal(status, orjson.loads(body)["error"])
    return body if translated is None else orjson.dumps(translated)


def error_body(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    """Return an error document in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def message_error(status: int, body: bytes) -> bytes:
    """Return an error in OpenAI's shape as Anthropic tells it.

    >>> message_error(429, error_body("slow down"))
    b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":"req_1"}'
    """
    told = orjson.loads(body)["error"]
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": told["message"]}, "request_id": "req_1"})
