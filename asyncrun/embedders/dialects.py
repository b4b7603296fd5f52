"""How requests for vectors are written and replies are read, one dialect a class; none of them sends anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from asyncrun.aio.retry import FailureClass
from asyncrun.embedders.reply_checks import ReplyRows
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.replies import BadReplyError, count_of
from asyncrun.records import InputType


class Dialect(Protocol):
    """What a provider's requests and replies look like."""

    def write(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        """Return the request's JSON; `cut` asks the server to cut what is too long, otherwise it should refuse it."""

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply. Raises BadReplyError when it has another shape."""

    def fallback(self, verdict: Verdict) -> Dialect | None:
        """Return how the same texts are worth another try after a refusal before the first success, None where they are not."""


@dataclass(frozen=True, slots=True)
class JsonDialect(ABC):
    """What the dialects below have in common.

    Attributes:
        texts: What the texts of a request stand under; `constant` is what all requests say.
        model: The model's name, as requests write it.
        fields: What a request says besides texts and model, by what the texts are and whether the server is to cut them.
        extra: Merged into the request.
        base64: Whether vectors are asked for in base64.
    """

    texts: ClassVar[str] = "input"
    constant: ClassVar[Mapping[str, object]] = {}
    model: str
    fields: Mapping[tuple[InputType, bool], Mapping[str, object]]
    extra: Mapping[str, Any]
    base64: bool = False

    def write(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        """Return the request's JSON."""
        # A quarter of the bytes and a sixth of the work of numbers; servers that do not know it are found out by the first request.
        encoding = {"encoding_format": "base64"} if self.base64 else {}
        return {"model": self.model, **self.fields[input_type, cut], self.texts: texts, **self.constant, **encoding, **self.extra}

    @abstractmethod
    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""

    def fallback(self, verdict: Verdict) -> Self | None:
        """Return the dialect without base64 where that may have been the fault."""
        if not self.base64 or verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return None
        return replace(self, base64=False)


class OpenAIDialect(JsonDialect):
    """OpenAI's `/embeddings`, which most servers have."""

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        data = _rows(document, "data", "list of vectors")
        # Voyage and Jina tell the total alone.
        tokens = count_of(document.get("usage"), "prompt_tokens", "total_tokens")
        return ReplyRows([row.get("embedding") for row in data], [row.get("index") for row in data], tokens, text_of(document, "model"))


class CohereDialect(JsonDialect):
    """Cohere's version 2: texts under `texts`, vectors by type, and warnings beside them."""

    texts = "texts"
    constant: ClassVar[Mapping[str, object]] = {"embedding_types": ["float"]}

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        meta = part_of(document, "meta")
        warnings = part_of(meta, "warnings")
        return ReplyRows(
            list_of(document, "embeddings", "float"),
            tokens=count_of(part_of(meta, "billed_units"), "input_tokens"),
            warnings=tuple(str(words) for words in warnings) if isinstance(warnings, list) else (),
        )


class GeminiDialect(JsonDialect):
    """Gemini's: a request for every text, the model in the address and in each of them."""

    def write(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        """Return the request's JSON."""
        shared = {"model": f"models/{self.model.removeprefix('models/')}", **self.fields[input_type, cut]}
        # Several parts of one content would be fused into one vector.
        return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in texts], **self.extra}

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        rows = _rows(document, "embeddings", "`values`")
        return ReplyRows([row.get("values") for row in rows], tokens=count_of(part_of(document, "usageMetadata"), "promptTokenCount"))


class IsaacusDialect(JsonDialect):
    """Isaacus': texts under `texts`, vectors with an index under `embeddings`."""

    texts = "texts"

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        rows = _rows(document, "embeddings", "`embedding`")
        tokens = count_of(part_of(document, "usage"), "input_tokens")
        return ReplyRows([row.get("embedding") for row in rows], [row.get("index") for row in rows], tokens)


class OllamaDialect(JsonDialect):
    """Ollama's own, which says what becomes of texts that are too long."""

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        rows = list_of(document, "embeddings")
        return ReplyRows(rows, tokens=count_of(document, "prompt_eval_count"), model=text_of(document, "model"))


class TeiDialect(JsonDialect):
    """That of Text Embeddings Inference and of Hugging Face's feature extraction: bare lists of vectors, in order."""

    def write(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        """Return the request's JSON."""
        return {"inputs": texts, **self.fields[input_type, cut], **self.extra}

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply."""
        rows = list_of(document)
        if rows and all(isinstance(row, list) and row and isinstance(row[0], list) for row in rows):
            raise BadReplyError("it has a vector for every token: the model is none of whole texts")
        return ReplyRows(rows)


DIALECTS: Mapping[str, type[JsonDialect]] = {
    "openai": OpenAIDialect,
    "cohere": CohereDialect,
    "gemini": GeminiDialect,
    "isaacus": IsaacusDialect,
    "ollama": OllamaDialect,
    "tei": TeiDialect,
}
"""The dialects by the names that the table of providers has for them."""


def _rows(document: object, name: str, wanted: str) -> list[dict[str, Any]]:
    """Return the rows under a name, each of which must be an object that may hold what is wanted."""
    rows = list_of(document, name)
    if not all(isinstance(row, dict) for row in rows):
        raise BadReplyError(f"the reply has no {wanted} under `{name}`")
    return rows


def list_of(document: object, *names: str) -> list[Any]:
    """Return the list under these names, one within the other. Raises BadReplyError when there is none.

    >>> list_of({"embeddings": {"float": [[1.0]]}}, "embeddings", "float")
    [[1.0]]
    """
    found = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise BadReplyError(f"the reply has no list of vectors under `{'.'.join(names)}`" if names else "the reply is no list of vectors")
    return found


def part_of(document: object, name: str) -> object:
    """Return what stands under a name, None when there is nothing."""
    return document.get(name) if isinstance(document, dict) else None


def text_of(document: object, name: str) -> str | None:
    """Return the text under a name, None when there is none."""
    found = part_of(document, name)
    return found if isinstance(found, str) else None
