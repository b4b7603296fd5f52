"""What the fake server answers: vectors and errors in the dialect that is asked in, chat completions in OpenAI's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from asyncrun.short_help import ShortHelp


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


ANSWER_LIMITS = ("max_completion_tokens", "max_tokens")
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
        return [part["text"] for request in document["requests"] for part in request["content"]["parts"]]
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


def refusal(path: str, document: Any, status: int, body: bytes) -> bytes:
    """Return an error in OpenAI's shape as it is told in the dialect of a request; where it is in none, as it is."""
    dialect = dialect_of(path, document)
    translated = None if dialect is None else dialect.refusal(status, orjson.loads(body)["error"])
    return body if translated is None else orjson.dumps(translated)


def error_body(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    """Return an error document in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


@dataclass(frozen=True, slots=True)
class Chat(metaclass=ShortHelp):
    """How a fake server answers: `limits` are the names it knows for the most tokens of an answer, `max_input_tokens` is its context.

    >>> from asyncrun.llms import OpenAI
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(chat=Chat(max_input_tokens=50)).in_thread() as server:
    ...     OpenAI("m", api_base=server.base_url).complete("Hello").finish_reason
    'stop'
    """

    limits: tuple[str, ...] = ANSWER_LIMITS
    max_input_tokens: int = 8192

    def reply(self, document: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and body of the reply to a request.

        >>> Chat().reply({"model": "m", "messages": [{"role": "user", "content": "[1] It rains."}]})[1]["choices"][0]["finish_reason"]
        'stop'
        """
        unknown = next((name for name in ANSWER_LIMITS if name in document and name not in self.limits), None)
        if unknown:
            return 400, error_body(f"Unsupported parameter: '{unknown}' is not supported with this model.", code="unsupported_parameter")
        messages = document.get("messages")
        if not isinstance(messages, list) or not messages:
            return 400, error_body("'messages' is a required property.")
        words = [word for message in messages for word in str(message.get("content")).split()]
        if len(words) > self.max_input_tokens:
            message = (
                f"This model's maximum context length is {self.max_input_tokens} tokens. However, your messages have {len(words)} tokens."
            )
            return 400, error_body(message, code="context_length_exceeded")
        answer = answer_of([str(message.get("content")) for message in messages]).split()
        most = next((document[name] for name in ANSWER_LIMITS if name in document), len(answer))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": " ".join(answer[:most]), "refusal": None},
            "finish_reason": "length" if most < len(answer) else "stop",
        }
        used = min(most, len(answer))
        usage = {"prompt_tokens": len(words), "completion_tokens": used, "total_tokens": len(words) + used}
        return 200, {"id": "chat", "object": "chat.completion", "model": document.get("model"), "choices": [choice], "usage": usage}


def answer_of(contents: Sequence[str]) -> str:
    """Return the answer to messages with these contents; it names the first passage where there is one.

    >>> answer_of(["[1] It rains."])
    'Answer 302cd2a7, as [1] says.'
    """
    name = hashlib.blake2b("\0".join(contents).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"Answer {name}, as [1] says." if "[1]" in contents[-1] else f"Answer {name}, out of nothing."


def stream_events(document: Mapping[str, Any], *, counted: bool) -> list[bytes]:
    r"""Return a chat completion as the server-sent events of a stream, a word each; `counted` adds one with the tokens.

    >>> stream_events(Chat().reply({"messages": [{"content": "Why?"}]})[1], counted=True)[-1]
    b'data: [DONE]\n\n'
    """
    about = {"id": document.get("id"), "object": "chat.completion.chunk", "model": document.get("model")}
    [choice] = document["choices"]
    message, none = choice["message"], {"index": 0, "finish_reason": None}
    chunks = [[{**none, "delta": {"role": "assistant", "content": ""}}]]
    for name in ("content", "refusal"):
        words = re.findall(r"\s*\S+\s*$|\s*\S+", message.get(name) or "")
        chunks += [[{**none, "delta": {name: word}}] for word in words]
    chunks.append([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}])
    uncounted = {"usage": None} if counted else {}
    documents = [{**about, "choices": choices, **uncounted} for choices in chunks]
    if counted:
        documents.append({**about, "choices": [], "usage": document["usage"]})
    return [b"data: " + orjson.dumps(event) + b"\n\n" for event in documents] + [b"data: [DONE]\n\n"]
