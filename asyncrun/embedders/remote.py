"""The root of embedders behind HTTP: limiter, retry, proof and bisection, the same for every dialect."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import orjson

from asyncrun.aio.attempts import AttemptCounts, Attempted
from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import FailureClass
from asyncrun.batching.pack import BatchLimits, byte_size, pack
from asyncrun.batching.per_byte import TokensPerByte
from asyncrun.embedders.aftermath import aftermath
from asyncrun.embedders.ask import Answer, Rows, ask
from asyncrun.embedders.assemble import keeping, merge, no_vectors, renumber
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.interface import Empty, TooLong
from asyncrun.embedders.model_name import ModelName
from asyncrun.embedders.oddities import Asked, examined
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.exchange import RefusedError
from asyncrun.endpoints.options import EndpointOptions, build_endpoint
from asyncrun.endpoints.persist import persist, telling_usage
from asyncrun.endpoints.refusals import Refusals
from asyncrun.errors import OutageError
from asyncrun.plural import counted
from asyncrun.records import Embedded, EmbedFailure, InputType, Usage

CANARY_ITEMS = 2

Write = Callable[[Sequence[str]], dict[str, Any]]
"""Returns the JSON of a request for some texts."""
logger = logging.getLogger(__name__)


class RemoteOptions(EndpointOptions, total=False):
    """What every embedder behind HTTP can be given besides; the meanings are those of the job file. `warn` is told what is odd, once.

    `named` is that of a run, shared by all that use the same model of the same endpoint; without it the embedder has its own.
    """

    batch: BatchLimits | None
    on_too_long: TooLong
    on_empty: Empty
    document_prefix: str
    query_prefix: str
    price_per_million_tokens: float | None
    warn: Callable[[str], object]
    named: ModelName | None


class RemoteEmbedding(BaseEmbedding):
    """An embedder behind HTTP; a dialect adds `_request` and `_read`.

    Args:
        model: The provider's name of the model.
        url: Where requests are posted.
        auth: The header that carries the key.
        dimensions: How many numbers a vector must have; None: as many as the first has.
        max_input_tokens: The longest text that the model takes, where it is known.
        options: See `RemoteOptions`.
    """

    def __init__(
        self,
        *,
        model: str,
        url: str,
        auth: Mapping[str, str],
        dimensions: int | None = None,
        max_input_tokens: int | None = None,
        **options: Unpack[RemoteOptions],
    ) -> None:
        endpoint = build_endpoint(url, auth, options)
        super().__init__(
            model=model,
            batch=options.get("batch") or BatchLimits(),
            workers=endpoint.workers,
            on_too_long=options.get("on_too_long", "fail"),
            on_empty=options.get("on_empty", "fail"),
            document_prefix=options.get("document_prefix", ""),
            query_prefix=options.get("query_prefix", ""),
            price_per_million_tokens=options.get("price_per_million_tokens"),
            max_input_tokens=max_input_tokens,
        )
        self.endpoint = endpoint
        self._dimensions = dimensions
        self._asked = Asked(model if self.echoes_model else None, dimensions, self.on_too_long != "truncate")
        self._warn = options.get("warn", logger.warning)
        self._warned: set[str] = set()
        self._named = options.get("named") or ModelName()
        self._fits = BatchLimits(max_items=2**31)
        self._refusals = Refusals()
        self._per_byte = TokensPerByte()
        self._most_answered = 0
        self._counts_characters = False

    echoes_model = True
    """Whether an answer names the model as it was asked for."""

    @abstractmethod
    def _request(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> dict[str, Any]:
        """Return the request's JSON; `cut` asks the endpoint to cut what is too long, otherwise it should refuse it."""

    @abstractmethod
    def _read(self, document: Any) -> Rows:
        """Return the rows of a decoded reply. Raises BadReplyError when it has another shape."""

    def _adapt(self, verdict: Verdict) -> bool:
        """Change the next requests after a refusal before the first success; return whether the same texts are worth another try."""
        return False

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""
        return self._dimensions

    @property
    def place(self) -> str:
        """Return provider, model and host."""
        return f"{self.provider}/{self.model_name} at {self.endpoint.host}"

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is known of the endpoint's limits."""
        return self.endpoint.limiter.known

    @property
    def first_items(self) -> int | None:
        """Return how many texts the first request carries: it shows what the endpoint makes of requests."""
        return None if self.keeps_together else CANARY_ITEMS

    @property
    def tokens_per_byte(self) -> float:
        """Return how many tokens a byte of text stands for at most, as far as is known: 1.0 is the safe bound."""
        return self._per_byte.bound

    def tokens_of(self, texts: Sequence[str]) -> float:
        """Return how many tokens the texts are expected to have, for the limiter: by what the server has counted so far, else by a rule."""
        return self._per_byte.mean * sum(map(byte_size, texts))

    async def embed_as_is(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        """Embed texts whose prefix and policies somebody else has seen to; `cut` has the endpoint cut what is too long, where it `cuts`.

        Raises as `aembed`.
        """
        return await (self._embed_cut if cut else self._embed)(texts, input_type)

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        return await self._deliver(texts, partial(self._request, input_type=input_type))

    async def _embed_cut(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        return await self._deliver(texts, partial(self._request, input_type=input_type, cut=True))

    async def _deliver(self, texts: Sequence[str], write: Write) -> Embedded:
        self.check()
        answers: list[Embedded] = []
        circuit = self.endpoint.circuit
        # Each part with how many batches had succeeded when it was first sent, or when it was split off.
        parts: deque[tuple[list[int], int | None]] = deque([(list(range(len(texts))), None)])
        with keeping(answers):
            while parts:
                whole, since = parts.popleft()
                async with self.endpoint.canary():
                    part, *later = self._portions(whole, texts)
                    since = circuit.successes if since is None else since
                    with telling_usage(lambda: sum((each.usage for each in answers), Usage())):
                        answer, again = await self._send([texts[place] for place in part], write, since)
                answers.append(renumber(answer, part))
                parts.extendleft((portion, None) for portion in reversed(later))
                if self.endpoint.proven and [len(places) for places in again] == [len(part)]:
                    # Behind the others: only when one of them succeeds meanwhile is it known that the fault is in this part.
                    parts.append((part, since))
                else:
                    parts.extendleft(([part[place] for place in places], circuit.successes) for places in reversed(again))
        return merge(answers)

    def _portions(self, part: list[int], texts: Sequence[str]) -> list[list[int]]:
        """Return the part as the endpoint takes it, by what it has said so far; as long as it has said nothing, a few texts first."""
        if self.keeps_together:
            return [part]
        if not self.endpoint.proven:
            return [portion for portion in (part[:CANARY_ITEMS], part[CANARY_ITEMS:]) if portion]
        return list(pack(((place, byte_size(texts[place])) for place in part), self._fits))

    async def _send(self, texts: Sequence[str], write: Write, since: int) -> tuple[Embedded, list[list[int]]]:
        """Return what is known after one batch was sent, and the parts that have to be sent again.

        `since` is how many batches had succeeded when these texts were first sent.
        """
        tally = AttemptCounts()
        with telling_usage(lambda: tally.usage):
            try:
                asked = await self._attempts(texts, write, tally)
            except RefusedError as error:
                others = self.endpoint.circuit.successes > since
                return self._refused(error, texts, tally, others_succeeded=others)
        answer, proof = asked.value, asked.value.proof
        usage = Usage(tally.attempts, tally.attempts - 1, answer.tokens or 0, self._cost(answer))
        with telling_usage(lambda: usage):
            self._named.check(answer.model, self.endpoint)
        self.endpoint.proven = True
        self._tell(answer.oddities)
        self._dimensions = proof.dimensions
        size = sum(map(byte_size, texts))
        self._most_answered = max(self._most_answered, size)
        if answer.tokens:
            self._per_byte.add(tokens=answer.tokens, size=size)
        embedded = Embedded(proof.vectors, proof.positions, usage=usage, waits=tally.waits)
        if self.keeps_together:
            return replace(embedded, failures=tuple(EmbedFailure(place, "bad_response", why) for place, why in proof.rejected.items())), []
        # A vector that is no vector may be the text's fault or an accident: it is asked for again, alone.
        return embedded, [[place] for place in proof.rejected]

    async def _ask(self, request: dict[str, Any], count: int) -> Answer:
        """Send a request for `count` vectors once. Raises RefusedError."""
        return await ask(self.endpoint, orjson.dumps(request), self._read, count, self._dimensions)

    async def _attempts(self, texts: Sequence[str], write: Write, tally: AttemptCounts) -> Attempted[Answer]:
        """Send a batch until it is answered or refused. Raises RefusedError, ThrottledError, OutageError."""

        async def attempt(_: int) -> Answer:
            try:
                return self._believed(examined(await self._ask(write(texts), len(texts)), texts, self._asked))
            except RefusedError as error:
                if error.timed_out and len(texts) > 1 and self.endpoint.proven and not self.keeps_together:
                    # Sent whole again it would most likely take too long again.
                    error.verdict = replace(error.verdict, failure=FailureClass.TOO_SLOW)
                raise

        return await persist(
            self.endpoint,
            attempt,
            tokens=self.tokens_of(texts),
            inputs=len(texts),
            used=lambda answer: answer.tokens,
            tally=tally,
        )

    def _refused(
        self, error: RefusedError, texts: Sequence[str], tally: AttemptCounts, *, others_succeeded: bool
    ) -> tuple[Embedded, list[list[int]]]:
        """Return what follows on a refused batch, or raise what the refusal says about the endpoint."""
        failure = error.verdict.failure
        if (fatal := error.about_endpoint()) is not None:
            raise fatal from error
        spent = replace(no_vectors(), usage=tally.usage, waits=tally.waits)
        if failure is FailureClass.TRANSIENT:
            if not self.endpoint.proven:
                raise OutageError(f"{error} ({counted(tally.attempts, 'attempt')})") from error
            if not others_succeeded:
                # Nothing has succeeded meanwhile, so it says nothing about these texts; the circuit counts how often this happens.
                return spent, [list(range(len(texts)))]
        if failure is FailureClass.TOO_BIG:
            self._learn(error.verdict, texts)
        if failure is FailureClass.TOO_SLOW:
            self._slow_down(texts)
        if not self.endpoint.proven and self._adapt(error.verdict):
            return spent, [list(range(len(texts)))]
        if len(texts) == 1 and not self.endpoint.proven:
            self._refusals.add(error)
        after = aftermath(error.verdict, [byte_size(text) for text in texts], together=self.keeps_together)
        failures = tuple(EmbedFailure(place, reason, str(error), tally.attempts) for place, reason in after.failed.items())
        return replace(spent, failures=failures), after.parts

    def _learn(self, verdict: Verdict, texts: Sequence[str]) -> None:
        """Remember for later batches how much the endpoint takes at once."""
        if verdict.cap is not None and verdict.cap > 0:
            self._fits = replace(self._fits, max_items=min(verdict.cap, self._fits.max_items))
        elif len(texts) > 1:
            # 5 % less than it says: tokens are not spread evenly over bytes.
            most = int(sum(map(byte_size, texts)) * (0.95 * verdict.share if verdict.share else 0.5))
            self._fits = replace(self._fits, max_bytes=min(most, self._fits.max_bytes or most))

    def _slow_down(self, texts: Sequence[str]) -> None:
        """Send less at once after a batch that took too long, but never less than was answered in time: the batch may be an exception."""
        most = max(sum(map(byte_size, texts)) // 2, self._most_answered)
        self._fits = replace(self._fits, max_bytes=min(most, self._fits.max_bytes or most))
        within = f"within the timeout of {self.endpoint.timeout:g} s"
        self._tell({"slow": f"no whole reply to {len(texts)} texts {within}: they are sent in halves; a smaller batch or more time helps"})

    def _believed(self, answer: Answer) -> Answer:
        """Return the answer without its count of tokens once the server has been found to count characters."""
        if "characters" in answer.oddities:
            self._counts_characters = True
            self._per_byte = TokensPerByte()
        return replace(answer, tokens=None) if self._counts_characters else answer

    def _tell(self, oddities: Mapping[str, str]) -> None:
        for kind, sentence in oddities.items():
            if kind not in self._warned:
                self._warned.add(kind)
                self._warn(f"{self.endpoint.host}: {self.endpoint.shown(sentence)}")

    def _cost(self, answer: Answer) -> float | None:
        if answer.cost is not None or self.price_per_million_tokens is None or answer.tokens is None:
            return answer.cost
        return answer.tokens * self.price_per_million_tokens / 1e6

    async def renew_connections(self) -> None:
        """Close the connections that are open, as after the machine was suspended; requests under way keep theirs."""
        await self.endpoint.renew_connections()

    async def _leave_loop(self) -> None:
        await self.endpoint.leave_loop()
