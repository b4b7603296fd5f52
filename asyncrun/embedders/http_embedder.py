"""The embedder behind HTTP, the same for all providers: a dialect writes and reads, an endpoint is called, a splitter says what is next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import orjson

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import FailureClass
from asyncrun.callbacks.base import CallbackManager
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.dialects import Dialect
from asyncrun.embedders.interface import Empty, TooLong, merge_outcomes, no_vectors, renumber
from asyncrun.embedders.reply_checks import Expected, ProvenReply, ReplyCheck
from asyncrun.embedders.request_splitter import FIRST_ITEMS, Capacity, Part, Splitter
from asyncrun.embedders.same_model import AnsweringModel
from asyncrun.endpoints.endpoint import Endpoint, EndpointOptions
from asyncrun.endpoints.replies import CallAnswer, CallFailure, DecodedReply, RepeatedRefusals
from asyncrun.packing import BatchLimits, TokensPerByte, byte_size
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure, InputType, Space
from asyncrun.usage import Usage, cost_of

logger = logging.getLogger(__name__)


class HttpOptions(EndpointOptions, total=False):
    """The options of every embedder behind HTTP, beside those of its endpoint; the meanings are those of the job file.

    `warn` is told each warning once. `answering_model` is shared by all embedders of a run that use the same model of the same
    endpoint; without it the embedder has its own.
    """

    batch: BatchLimits | None
    on_too_long: TooLong
    on_empty: Empty
    document_prefix: str
    query_prefix: str
    price_per_million_tokens: float | None
    warn: Callable[[str], object]
    answering_model: AnsweringModel | None
    callback_manager: CallbackManager | None


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """What an embedder asks, and what is known of it before it answers.

    Attributes:
        model: The provider's name of the model.
        endpoint: Where requests go.
        dialect: How they are written, and replies read.
        spaces: The vector space of documents and of queries.
        check: Raises UsageError for what is known to be wrong before anything is sent.
        batch: How much one request may carry.
        dimensions: How many numbers a vector must have; None: as many as the first has.
        max_input_tokens: The longest text that the model takes, where it is known; `max_characters` is the same in characters.
        tokenizer: The one that was named.
        cuts: Whether the endpoint cuts too long texts by itself when it is told to.
        together: Whether the texts of one request have a part in each other's vectors.
        echoes_model: Whether a reply names the model as it was asked for.
    """

    model: str
    endpoint: Endpoint
    dialect: Dialect
    spaces: Mapping[InputType, Space]
    check: Callable[[], object]
    batch: BatchLimits = field(default_factory=BatchLimits)
    dimensions: int | None = None
    max_input_tokens: int | None = None
    max_characters: int | None = None
    tokenizer: Tokenizer | None = None
    cuts: bool = False
    together: bool = False
    echoes_model: bool = True


class HttpEmbedder(BaseEmbedding):
    """Embeds with a service behind HTTP. See `HttpOptions` for the options."""

    def __init__(self, service: Service, **options: Unpack[HttpOptions]) -> None:
        super().__init__(
            model=service.model,
            batch=service.batch,
            workers=service.endpoint.workers,
            on_too_long=options.get("on_too_long", "fail"),
            on_empty=options.get("on_empty", "fail"),
            document_prefix=options.get("document_prefix", ""),
            query_prefix=options.get("query_prefix", ""),
            price_per_million_tokens=options.get("price_per_million_tokens"),
            max_input_tokens=service.max_input_tokens,
            callback_manager=options.get("callback_manager"),
        )
        self.endpoint = service.endpoint
        self.keeps_together, self.cuts, self.tokenizer = service.together, service.cuts, service.tokenizer
        # The first request shows what the endpoint makes of requests.
        self.first_items = None if service.together else FIRST_ITEMS
        self._service = service
        self._dialect = service.dialect
        self._dimensions = service.dimensions
        self._expected = Expected(service.model if service.echoes_model else None, service.dimensions, self.on_too_long != "truncate")
        self._warn = options.get("warn", logger.warning)
        self._warned: set[str] = set()
        self._answering_model = options.get("answering_model") or AnsweringModel()
        self._capacity = Capacity()
        self._refusals = RepeatedRefusals()
        self._per_byte = TokensPerByte()
        self._counts_characters = False

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong before anything is sent, such as a key that is not set."""
        self._service.check()

    def space(self, input_type: InputType) -> Space:
        """Return the vector space; for providers that tell documents and queries apart, one for each."""
        return self._service.spaces[input_type]

    @property
    def timeout(self) -> float:
        """Return the seconds that one attempt may take."""
        return self.endpoint.timeout

    @property
    def served_by(self) -> str:
        """Return provider, model and host."""
        return f"{self.provider}/{self.model_name} at {self.endpoint.host}"

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""
        return self._dimensions

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is known of the endpoint's limits."""
        return self.endpoint.limiter.known

    @property
    def tokens_per_byte(self) -> float:
        """Return how many tokens a byte of text stands for at most, as far as is known: 1.0 is the safe bound."""
        return self._per_byte.bound

    def tokens_of(self, texts: Sequence[str]) -> float:
        """Return how many tokens the texts are expected to have, for the limiter: by what the server has counted so far, else by a rule."""
        return self._per_byte.mean * sum(map(byte_size, texts))

    async def embed_as_is(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        """Embed texts whose prefix and policies somebody else has seen to; `cut` has the endpoint cut what is too long, where it `cuts`."""
        self.check()
        failures = self._with_too_many_characters(texts)
        fitting = [position for position in range(len(texts)) if position not in failures] if failures else None
        splitter = Splitter(list(map(byte_size, texts)), fitting, together=self.keeps_together)
        outcomes = [no_vectors(list(failures.values()))]
        endpoint, error = self.endpoint, None
        while splitter.left and error is None:
            async with endpoint.canary() as canary:
                if canary.error is None:
                    part = splitter.take(self._capacity, proven=endpoint.proven, successes=endpoint.circuit.successes)
                    sent, sizes = [texts[position] for position in part.positions], splitter.sizes_of(part)
                    result = await endpoint.call(
                        orjson.dumps(self._dialect.write(sent, input_type, cut=cut)),
                        ReplyCheck(self._dialect, sent, self._expected, self._dimensions, endpoint.proven),
                        tokens=self._per_byte.mean * sum(sizes),
                        inputs=len(sent),
                        used=self._tokens,
                        divisible=len(sent) > 1 and not self.keeps_together,
                    )
                    outcome = (
                        self._answered(result, part, splitter) if isinstance(result, CallAnswer) else self._failed(result, part, splitter)
                    )
                    outcomes.append(renumber(outcome, part.positions))
                    canary.error = outcome.error
            error = canary.error
        return replace(merge_outcomes(outcomes), error=error)

    _embed = embed_as_is

    def request_body(self, texts: Sequence[str], input_type: InputType) -> dict[str, Any]:
        """Return the JSON of the request for texts, as online: prefix included, nothing cut."""
        prefix = self.prefix(input_type)
        return self._dialect.write([prefix + text for text in texts], input_type)

    def read_reply(self, count: int, document: Any, input_type: InputType) -> Embedded:
        """Return what a reply to so many texts holds, its vectors proven as online. Raises BadReplyError where it holds none."""
        # What was sent is not known any more: what its usage says of texts that were cut is not looked at.
        check = ReplyCheck(self._dialect, [""] * count, replace(self._expected, whole=False), self._dimensions, proven=True)
        reply = check(DecodedReply(document, None))
        usage = Usage(requests=1, tokens=reply.tokens or 0, cost=self._cost(reply, reply.tokens))
        if (error := self._answering_model.mismatch(reply.model, self.endpoint)) is not None:
            return no_vectors((), usage, error=error)
        self._warn_once(reply.warnings)
        self._dimensions, proof = reply.proof.dimensions, reply.proof
        failures = tuple(EmbedFailure(index, "bad_response", sentence) for index, sentence in proof.rejected.items())
        return Embedded(proof.vectors, proof.positions, failures, usage=usage, model=reply.model)

    def _with_too_many_characters(self, texts: Sequence[str]) -> dict[int, EmbedFailure]:
        most = self._service.max_characters
        if most is None:
            return {}
        words = f"{self.provider} takes {most} characters. Given: "
        return {
            position: EmbedFailure(position, "too_long", f"{words}{len(text)}", attempts=0)
            for position, text in enumerate(texts)
            if len(text) > most
        }

    def _tokens(self, reply: ProvenReply) -> int | None:
        """Return the tokens of a reply, None from the moment on when the server is seen to count characters."""
        if "characters" in reply.warnings:
            self._counts_characters = True
            self._per_byte = TokensPerByte()
        return None if self._counts_characters else reply.tokens

    def _answered(self, result: CallAnswer[ProvenReply], part: Part, splitter: Splitter) -> Embedded:
        """Return what an answer to a part holds, and learn from it."""
        endpoint, reply, proof = self.endpoint, result.value, result.value.proof
        tokens = self._tokens(reply)
        usage = replace(result.usage, tokens=tokens or 0, cost=self._cost(reply, tokens))
        if (error := self._answering_model.mismatch(reply.model, endpoint)) is not None:
            return no_vectors((), usage, result.waits, error)
        endpoint.proven = True
        self._warn_once(reply.warnings)
        self._dimensions = proof.dimensions
        size = sum(splitter.sizes_of(part))
        self._capacity = replace(self._capacity, answered=max(self._capacity.answered, size))
        if tokens:
            self._per_byte.add(tokens=tokens, size=size)
        failed = splitter.answered(part, proof.rejected, successes=endpoint.circuit.successes)
        failures = tuple(EmbedFailure(index, reason, proof.rejected[index]) for index, reason in failed.items())
        spent, made_by = result.waits, result.worker
        return Embedded(proof.vectors, proof.positions, failures, usage=usage, waits=spent, model=reply.model, worker=made_by)

    def _failed(self, result: CallFailure, part: Part, splitter: Splitter) -> Embedded:
        """Return what a call without an answer means for the texts of its part, and learn from it."""
        endpoint, successes, alone = self.endpoint, self.endpoint.circuit.successes, len(part.positions) == 1
        spent = no_vectors((), result.usage, result.waits, result.error)
        if result.error is not None:
            return spent
        self._learn(result, splitter.sizes_of(part))
        if not endpoint.proven:
            if (dialect := self._dialect.fallback(result.verdict)) is not None:
                self._dialect = dialect
                splitter.again(part, proven=False, successes=successes)
                return spent
            if alone and (error := self._refusals.add(result.message, result.verdict)) is not None:
                return replace(spent, error=error)
        failed = splitter.failed(part, result.verdict, successes=successes)
        return replace(
            spent,
            failures=tuple(EmbedFailure(index, why, result.message, result.usage.requests) for index, why in failed.items()),
        )

    def _learn(self, result: CallFailure, sizes: Sequence[int]) -> None:
        self._capacity = self._capacity.after(result.verdict, sizes)
        if result.verdict.failure is FailureClass.TOO_SLOW:
            within = f"within the timeout of {self.endpoint.timeout:g} s"
            self._warn_once(
                {"slow": f"no whole reply to {len(sizes)} texts {within}: they are sent in halves; a smaller batch or more time helps"}
            )

    def _warn_once(self, warnings: Mapping[str, str]) -> None:
        for kind, sentence in warnings.items():
            if kind not in self._warned:
                self._warned.add(kind)
                self._warn(f"{self.endpoint.host}: {self.endpoint.shown(sentence)}")

    def _cost(self, reply: ProvenReply, tokens: int | None) -> float | None:
        if reply.cost is not None or self.price_per_million_tokens is None or tokens is None:
            return reply.cost
        return cost_of(tokens, self.price_per_million_tokens)

    async def renew_connections(self) -> None:
        """Close the connections that are open, as after the machine was suspended; requests under way keep theirs."""
        await self.endpoint.renew_connections()

    async def leave_loop(self) -> None:
        """Let go of what belongs to the running event loop, such as connections."""
        await self.endpoint.leave_loop()
