"""The adapter for embedding classes of LlamaIndex: their vectors, our limits, retries, proof and ledger."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from asyncrun.aio.retry import FailureClass
from asyncrun.embedders.dialects import list_of
from asyncrun.embedders.http_embedder import HttpEmbedder, HttpOptions, Service
from asyncrun.embedders.reply_checks import ReplyRows
from asyncrun.endpoints.classify import Verdict, classify
from asyncrun.endpoints.endpoint import Endpoint, EndpointOptions
from asyncrun.endpoints.replies import DecodedReply, RequestError
from asyncrun.http_replies import Streaming
from asyncrun.llama_index_classes import ClassKind, read_options
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType, Space

if TYPE_CHECKING:
    from asyncrun.endpoints.worker_call import WorkerEndpoint
    from asyncrun.ports import WorkerPart

_EMBEDDING = ClassKind(
    base="llama_index.core.base.embeddings.base.BaseEmbedding",
    called="embedding class",
    owner="embedder",
    example="llama_index.core.MockEmbedding",
)


class LlamaIndexEmbedding(HttpEmbedder):
    """Embeds with a class of LlamaIndex, in threads, since most of them block.

    Args:
        options: `class` is the class with its module (`llama_index.embeddings.huggingface.HuggingFaceEmbedding`), `args` are its arguments.
        model: Its argument `model_name`.
        api_key: Its argument `api_key`: a key does not belong into `options`.
        dimensions: How many numbers a vector must have.
        space: A name of the vector space; without it the class and all of its arguments make the space.
        extra_body: Not used: what a request holds is the class's own business.
        environ: Not used: the class looks for its variables itself.
        rest: See `HttpOptions`.

    Raises ArgumentError for a class that is not there, or that does not take its arguments, MissingExtraError without LlamaIndex.
    """

    provider = "llama-index"

    def __init__(
        self,
        *,
        options: Mapping[str, Any] | None = None,
        model: str | None = None,
        api_key: str | None = None,
        input_type: str | None = None,
        dimensions: int | None = None,
        space: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **rest: Unpack[HttpOptions],
    ) -> None:
        chosen = read_options(options, _EMBEDDING)
        path, args = chosen.path, chosen.args
        named = {"model_name": model, "api_key": api_key}
        # Nothing is posted there: the name of the class stands for the host in messages, and the key is known there to be masked in them.
        auth = {"authorization": api_key} if api_key else {}
        # Not into `args`, which are a part of the space and are kept: the key is among them here.
        given = {**args, **{name: value for name, value in named.items() if value is not None}}
        endpoint = _ThreadEndpoint(f"http://{chosen.cls.__name__}", auth, rest, lambda shown: chosen.make(given, shown))
        endpoint.made_with = {"options": options, "model": model, "api_key": api_key, "timeout": endpoint.timeout}
        whole = Space(self.provider, path, dimensions, input_type, {**args, "model_name": model}, None, space)
        super().__init__(
            Service(
                model=model or path,
                endpoint=endpoint,
                dialect=_Dialect(),
                # The same for documents and queries, as LlamaIndex has it.
                spaces=dict.fromkeys(InputType, whole),
                check=endpoint.instance,
                batch=rest.get("batch") or BatchLimits(),
                dimensions=dimensions,
                echoes_model=False,
            ),
            **rest,
        )


class _Dialect:
    """Texts and what they are; a list of vectors."""

    def write(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        return {"texts": list(texts), "query": input_type is InputType.QUERY}

    def read(self, document: Any) -> ReplyRows:
        return ReplyRows([list(map(float, row)) if isinstance(row, Sequence) else row for row in list_of(document)])

    def fallback(self, verdict: Verdict) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _ClassPart:
    """The class as a worker makes it, in threads of its own. A key is among its arguments, which are pickled."""

    arguments: bytes = field(repr=False)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WorkerEndpoint]:
        """Make it, in the worker."""
        from asyncrun.endpoints.worker_call import WorkerEndpoint

        async with LlamaIndexEmbedding(**pickle.loads(self.arguments)) as embedder:  # noqa: S301  # our own words
            yield WorkerEndpoint(embedder.endpoint)


class _ThreadEndpoint(Endpoint):
    """Has requests answered by an instance of the class, which is made for the first one, in threads of this process."""

    made_with: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, url: str, auth: Mapping[str, str], options: EndpointOptions, make: Callable[[Callable[[str], str]], Any]) -> None:
        super().__init__(url, auth, options)
        self._make = make
        self._instance: Any = None

    def worker_part(self) -> WorkerPart:
        """Return what makes the class on a worker."""
        return _ClassPart(pickle.dumps(self.made_with))

    def instance(self) -> Any:
        """Return the instance. Raises ArgumentError when the class does not take its arguments."""
        if self._instance is None:
            self._instance = self._make(self.shown)
        return self._instance

    async def exchange(self, body: bytes | None, url: str | None = None, *, streaming: Streaming | None = None) -> DecodedReply:
        """Have one request answered, as a whole. Raises RequestError."""
        try:
            async with asyncio.timeout(self.timeout):
                return DecodedReply(await asyncio.to_thread(self._embed, **orjson.loads(body or b"{}")), None)
        except Exception as error:
            verdict = _verdict(error)
            raise RequestError(f"{self.host}: {self.shown(verdict.words)}", verdict) from error

    def _embed(self, texts: list[str], *, query: bool) -> list[Any]:
        if query:
            return [self.instance().get_query_embedding(text) for text in texts]
        vectors: list[Any] = self.instance().get_text_embedding_batch(texts)
        return vectors


def _verdict(error: BaseException) -> Verdict:
    """Return what an exception of a vendor's client means: most carry the status of the reply."""
    words = str(error) or type(error).__name__
    if isinstance(error, TimeoutError | ConnectionError):
        return Verdict(FailureClass.TRANSIENT, words)
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(cause, "status_code", None) or getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 300:
            return classify(status, {}, None, words)
        cause = cause.__cause__
    return classify(400, {}, None, words)
