"""OpenAI's dialect, for its own endpoint and every server that speaks it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from asyncrun.aio.retry import FailureClass
from asyncrun.batching.proof import BadReplyError
from asyncrun.embedders.ask import Rows
from asyncrun.embedders.classify import Verdict
from asyncrun.embedders.endpoint import host_of
from asyncrun.embedders.interface import BatchLimits
from asyncrun.embedders.remote import RemoteEmbedding, RemoteOptions
from asyncrun.errors import UsageError
from asyncrun.records import InputType, Space

BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
OWN_LIMITS = BatchLimits(max_items=2048, max_tokens=300_000)
OWN_MAX_INPUT_TOKENS = 8192


class OpenAIEmbedding(RemoteEmbedding):
    """Embeds with OpenAI, or with any server that has its `/embeddings` (vLLM, llama.cpp, infinity, LiteLLM, Ollama, ...).

    Args:
        model: The name of the model.
        api_key: Default: the variable OPENAI_API_KEY, for OpenAI's own address only; elsewhere no key is sent unless it is given here.
        base_url: Up to and without `/embeddings`.
        dimensions: Asked for, where the model has a choice; the vectors must then have that many numbers.
        input_type: A word of the server's own, sent as `input_type`.
        space: A name of the vector space, for servers that give the same vectors.
        extra_body: Merged into the request's JSON.
        environ: Where the variable OPENAI_API_KEY is looked for.
        options: What all embedders behind HTTP take: see `RemoteOptions`.

    >>> OpenAIEmbedding(model="m", base_url="http://localhost:8080/v1").space(InputType.DOCUMENT).host
    'localhost:8080'

    Raises UsageError for an address or a key that cannot be used.
    """

    provider = "openai"

    def __init__(
        self,
        *,
        model: str,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        input_type: str | None = None,
        space: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] = os.environ,
        **options: Unpack[RemoteOptions],
    ) -> None:
        base_url = (base_url or BASE_URL).rstrip("/")
        own = host_of(base_url) == host_of(BASE_URL)
        key = (api_key or (environ.get(KEY_VARIABLE, "") if own else "")).strip()
        if own and options.get("batch") is None:
            options["batch"] = OWN_LIMITS
        super().__init__(
            model=model,
            url=base_url if base_url.endswith("/embeddings") else f"{base_url}/embeddings",
            auth={"authorization": f"Bearer {key}"} if key else {},
            dimensions=dimensions,
            max_input_tokens=OWN_MAX_INPUT_TOKENS if own else None,
            **options,
        )
        self._extra = dict(extra_body or {})
        self._body: dict[str, Any] = {"model": model}
        if dimensions is not None:
            self._body["dimensions"] = dimensions
        if input_type is not None:
            self._body["input_type"] = input_type
        # A quarter of the bytes and a sixth of the work of numbers; servers that do not know it are found out by the first request.
        self._base64 = "encoding_format" not in self._extra
        self._key_is_missing = own and not key
        self._space = Space(self.provider, model, dimensions, input_type, self._extra, None if own else self.endpoint.host, space)

    def check(self) -> None:
        """Raise UsageError when OpenAI's own address is meant and there is no key."""
        if self._key_is_missing:
            raise UsageError(f"no key for {self.endpoint.host}", hint=f"Set the variable {KEY_VARIABLE}, or api_key in the job file.")

    def space(self, input_type: InputType) -> Space:
        """Return the vector space, the same for documents and queries."""
        return self._space

    def _request(self, texts: Sequence[str], input_type: InputType) -> dict[str, Any]:
        encoding = {"encoding_format": "base64"} if self._base64 else {}
        return {**self._body, "input": texts, **encoding, **self._extra}

    def _read(self, document: Any) -> Rows:
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            raise BadReplyError("the reply has no list of vectors under `data`")
        return Rows([row.get("embedding") for row in data], [row.get("index") for row in data], _tokens(document.get("usage")))

    def _adapt(self, verdict: Verdict) -> bool:
        if not self._base64 or verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return False
        self._base64 = False
        return True


def _tokens(usage: object) -> int | None:
    """Return the tokens that a server has counted; Voyage and Jina tell the total alone."""
    if not isinstance(usage, dict):
        return None
    counts = (usage.get(name) for name in ("prompt_tokens", "total_tokens"))
    return next((count for count in counts if type(count) is int and count >= 0), None)
