"""OpenAI's dialect, for its own endpoint and every server that speaks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.aio.retry import FailureClass
from asyncrun.batching.proof import BadReplyError
from asyncrun.embedders.ask import Rows
from asyncrun.embedders.provided import ProviderEmbedding
from asyncrun.embedders.replies import count_of, list_of, text_of
from asyncrun.endpoints.classify import Verdict
from asyncrun.records import InputType


class OpenAIEmbedding(ProviderEmbedding):
    """Embeds with OpenAI, or with any server that has its `/embeddings` (vLLM, llama.cpp, infinity, LiteLLM, ...).

    The arguments are those of `ProviderEmbedding`; the key's variable is OPENAI_API_KEY.

    >>> OpenAIEmbedding(model="m", base_url="http://localhost:8080/v1").space(InputType.DOCUMENT).host
    'localhost:8080'
    """

    provider = "openai"
    _base64_is_refused = False

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        # A quarter of the bytes and a sixth of the work of numbers; servers that do not know it are found out by the first request.
        encoding = {"encoding_format": "base64"} if self._asks_for_base64 else {}
        return {"model": self.model_name, **self._fields(input_type, cut=cut), "input": texts, **encoding, **self._extra}

    def _read(self, document: Any) -> Rows:
        data = list_of(document, "data")
        if not all(isinstance(row, dict) for row in data):
            raise BadReplyError("the reply has no list of vectors under `data`")
        usage = document.get("usage")
        # Voyage and Jina tell the total alone.
        tokens = count_of(usage, "prompt_tokens", "total_tokens")
        return Rows([row.get("embedding") for row in data], [row.get("index") for row in data], tokens, text_of(document, "model"))

    @property
    def _asks_for_base64(self) -> bool:
        return self.row.base64 and not self._base64_is_refused and "encoding_format" not in self._extra

    def _adapt(self, verdict: Verdict) -> bool:
        if not self._asks_for_base64 or verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return False
        self._base64_is_refused = True
        return True
