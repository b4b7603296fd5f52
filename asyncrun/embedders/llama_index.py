"""The adapter for embedding classes of LlamaIndex: their vectors, our limits, retries, proof and ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Unpack

from asyncrun.aio.retry import FailureClass
from asyncrun.embedders.ask import Answer, Rows, judge
from asyncrun.embedders.remote import RemoteEmbedding, RemoteOptions
from asyncrun.embedders.replies import list_of
from asyncrun.endpoints.classify import Verdict, classify
from asyncrun.endpoints.exchange import Exchanged, RefusedError
from asyncrun.errors import MissingExtraError, UsageError
from asyncrun.escape import printable
from asyncrun.records import InputType, Space

EXTRA = "Install it: pip install 'asyncrun[llama-index]'."
_SECRETS = ("key", "token", "secret", "password")


class LlamaIndexEmbedding(RemoteEmbedding):
    """Embeds with a class of LlamaIndex, in threads, since most of them block.

    Args:
        options: `class` is the class with its module (`llama_index.embeddings.huggingface.HuggingFaceEmbedding`), `args` are its arguments.
        model: Its argument `model_name`.
        api_key: Its argument `api_key`: a key does not belong into `options`.
        dimensions: How many numbers a vector must have.
        space: A name of the vector space; without it the class and all of its arguments make the space.
        extra_body: Not used: what a request holds is the class's own business.
        environ: Not used: the class looks for its variables itself.
        rest: See `RemoteOptions`.

    Raises UsageError for a class that is not there, or that does not take its arguments, MissingExtraError without LlamaIndex.
    """

    provider = "llama-index"
    echoes_model = False

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
        **rest: Unpack[RemoteOptions],
    ) -> None:
        options = options or {}
        path, args = str(options.get("class", "")), dict(options.get("args") or {})
        for name in args:
            if name.lower().endswith(_SECRETS):
                raise UsageError(
                    f"options.args.{name} would be kept with the run's settings", hint="Use api_key, or the class's own variable."
                )
        if unknown := options.keys() - {"class", "args"}:
            raise UsageError(f"options has no {min(unknown)}", hint="It has `class` and `args`.")
        named = {"model_name": model, "api_key": api_key}
        self._class = _find(path)
        self._args = {**args, **{name: value for name, value in named.items() if value is not None}}
        # Nothing is posted there: the name of the class stands for the host in messages, and the key is known there to be masked in them.
        auth = {"authorization": api_key} if api_key else {}
        super().__init__(model=model or path, url=f"http://{self._class.__name__}", auth=auth, dimensions=dimensions, **rest)
        self._space = Space(self.provider, path, dimensions, input_type, {**args, "model_name": model}, None, space)

    def check(self) -> None:
        """Raise UsageError when the class does not take its arguments."""
        _ = self._instance

    def space(self, input_type: InputType) -> Space:
        """Return the vector space, the same for documents and queries, as LlamaIndex has it."""
        return self._space

    @cached_property
    def _instance(self) -> Any:
        try:
            return self._class(**self._args)
        except Exception as error:
            # Whatever it is: of a class that cannot be made there is nothing to try again.
            words = self.endpoint.shown(str(error))
            raise UsageError(f"{self._class.__name__} cannot be made: {words}", hint="Correct options.args of the embedder.") from error

    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        return {"texts": list(texts), "query": input_type is InputType.QUERY}

    def _read(self, document: Any) -> Rows:
        return Rows([list(map(float, row)) if isinstance(row, Sequence) else row for row in list_of(document)])

    async def _ask(self, request: dict[str, Any], count: int) -> Answer:
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                vectors = await asyncio.to_thread(self._embed_here, **request)
        except Exception as error:
            verdict = _verdict(error)
            raise RefusedError(f"{self.endpoint.host}: {self.endpoint.shown(verdict.words)}", verdict) from error
        return judge(self.endpoint, Exchanged(vectors, None), self._read, count, self._dimensions)

    def _embed_here(self, texts: list[str], *, query: bool) -> list[Any]:
        if query:
            return [self._instance.get_query_embedding(text) for text in texts]
        vectors: list[Any] = self._instance.get_text_embedding_batch(texts)
        return vectors


def _find(path: str) -> type[Any]:
    try:
        from llama_index.core.base.embeddings.base import BaseEmbedding
    except ImportError as error:
        raise MissingExtraError("llama-index needs LlamaIndex, which is not installed", hint=EXTRA) from error
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        hint = "Install its package, and write options.class with its module, such as llama_index.core.MockEmbedding."
        raise UsageError(f"there is no class {printable(path, 100)!r}", hint=hint) from error
    if not (isinstance(found, type) and issubclass(found, BaseEmbedding)):
        raise UsageError(f"{printable(path, 100)} is no embedding class of LlamaIndex", hint="Correct options.class of the embedder.")
    return found


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
