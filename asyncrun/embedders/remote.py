"""The root of embedders behind HTTP: limiter, retry, proof and bisection, the same for every dialect."""

from __future__ import annotations

import random
import re
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import orjson

from asyncrun.aio.attempts import Attempted, Tally, with_retries
from asyncrun.aio.circuit import Circuit
from asyncrun.aio.limits import DEFAULT_CONCURRENCY, Limiter, Limits
from asyncrun.aio.retry import FailureClass, RetryBudget, RetryPolicy
from asyncrun.batching.pack import byte_size, pack
from asyncrun.clock import Clock, SystemClock
from asyncrun.embedders.aftermath import aftermath
from asyncrun.embedders.ask import Answer, RefusedError, Rows, ask
from asyncrun.embedders.assemble import merge, no_vectors, renumber
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.classify import Verdict
from asyncrun.embedders.endpoint import Endpoint
from asyncrun.embedders.interface import BatchLimits, Empty, TooLong
from asyncrun.errors import AuthError, EndpointError, OutageError, QuotaError
from asyncrun.records import Embedded, EmbedFailure, InputType, Usage

CANARY_ITEMS = 2
CANARY_ATTEMPTS = 3
CANARY_BACKOFF = 1.0
SAME_REFUSALS = 3
"""So many single texts refused with the same words, and none ever accepted: then it is not the texts."""
MAX_WORKERS = 64
TOKENS_PER_BYTE = 1 / 3
"""The first estimate, for the limiter alone; what the server counts replaces it."""


class RemoteOptions(TypedDict, total=False):
    """What every embedder behind HTTP can be given besides; the meanings are those of the job file.

    `limiter`, `circuit` and `budget` are those of a run, shared by all that use the same endpoint; without them the embedder has its own.
    """

    batch: BatchLimits | None
    limits: Limits
    retry: RetryPolicy
    timeout: float
    on_too_long: TooLong
    on_empty: Empty
    document_prefix: str
    query_prefix: str
    price_per_million_tokens: float | None
    headers: Mapping[str, str]
    limiter: Limiter | None
    circuit: Circuit | None
    budget: RetryBudget | None
    clock: Clock
    rng: random.Random


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
        limits = options.get("limits") or Limits()
        clock = options.get("clock") or SystemClock()
        rng = options.get("rng") or random.Random()  # noqa: S311 (jitter, no secret)
        limiter = options.get("limiter") or Limiter(limits, clock, rng)
        super().__init__(
            model=model,
            batch=options.get("batch") or BatchLimits(),
            workers=min(limiter.limits.concurrency or DEFAULT_CONCURRENCY, MAX_WORKERS),
            on_too_long=options.get("on_too_long", "fail"),
            on_empty=options.get("on_empty", "fail"),
            document_prefix=options.get("document_prefix", ""),
            query_prefix=options.get("query_prefix", ""),
            price_per_million_tokens=options.get("price_per_million_tokens"),
            max_input_tokens=max_input_tokens,
        )
        self.endpoint = Endpoint(
            url=url,
            headers={**auth, **options.get("headers", {})},
            limiter=limiter,
            circuit=options.get("circuit") or Circuit(),
            budget=options.get("budget") or RetryBudget(),
            policy=options.get("retry") or RetryPolicy(),
            clock=clock,
            rng=rng,
            timeout=options.get("timeout", 60.0),
        )
        self._dimensions = dimensions
        self._fits = replace(self.batch, max_items=2**31, max_tokens=None, max_bytes=None)
        self._same_refusals: list[str] = []
        self._tokens_seen = self._bytes_seen = 0

    @abstractmethod
    def _request(self, texts: Sequence[str], input_type: InputType) -> dict[str, Any]:
        """Return the request's JSON."""

    @abstractmethod
    def _read(self, document: Any) -> Rows:
        """Return the rows of a decoded reply. Raises BadReplyError when it has another shape."""

    def _adapt(self, verdict: Verdict) -> bool:
        """Change the next requests after a refusal before the first success; return whether the same texts are worth another try."""
        return False

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        self.check()
        answers: list[Embedded] = []
        circuit = self.endpoint.circuit
        # Each part with how many batches had succeeded when it was first sent, or when it was split off.
        parts: deque[tuple[list[int], int | None]] = deque([(list(range(len(texts))), None)])
        while parts:
            whole, since = parts.popleft()
            async with self.endpoint.canary():
                part, *later = self._portions(whole, texts)
                since = circuit.successes if since is None else since
                answer, again = await self._send([texts[place] for place in part], input_type, since)
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
        if not self.endpoint.proven:
            return [portion for portion in (part[:CANARY_ITEMS], part[CANARY_ITEMS:]) if portion]
        sizes = ((place, 0, byte_size(texts[place])) for place in part)
        return list(pack(sizes, max_items=self._fits.max_items, max_bytes=self._fits.max_bytes))

    async def _send(self, texts: Sequence[str], input_type: InputType, since: int) -> tuple[Embedded, list[list[int]]]:
        """Return what is known after one batch was sent, and the parts that have to be sent again.

        `since` is how many batches had succeeded when these texts were first sent.
        """
        tally = Tally()
        try:
            asked = await self._attempts(texts, input_type, tally)
        except RefusedError as error:
            others = self.endpoint.circuit.successes > since
            return self._refused(error, texts, tally, others_succeeded=others)
        answer, proof = asked.value, asked.value.proof
        self.endpoint.proven = True
        self._dimensions = proof.dimensions
        if answer.tokens:
            self._tokens_seen += answer.tokens
            self._bytes_seen += sum(map(byte_size, texts))
        usage = Usage(tally.attempts, tally.attempts - 1, answer.tokens or 0, self._cost(answer))
        embedded = Embedded(proof.vectors, proof.positions, usage=usage, waits=tally.waits)
        # A vector that is no vector may be the text's fault or an accident: it is asked for again, alone.
        return embedded, [[place] for place in proof.rejected]

    async def _attempts(self, texts: Sequence[str], input_type: InputType, tally: Tally) -> Attempted[Answer]:
        """Send a batch until it is answered or refused. Raises RefusedError, ThrottledError, OutageError."""
        policy = self.endpoint.policy
        if self.endpoint.proven:
            return await self._with_retries(texts, input_type, tally, policy)
        # Whoever waits at the start has nothing to lose: an address where nobody listens is told within seconds.
        hasty = replace(policy, attempts=min(policy.attempts, CANARY_ATTEMPTS), max_backoff=min(policy.max_backoff, CANARY_BACKOFF))
        try:
            return await self._with_retries(texts, input_type, tally, hasty)
        except RefusedError as error:
            if error.verdict.failure is not FailureClass.TRANSIENT or not error.reached or tally.failures >= policy.attempts:
                raise
        return await self._with_retries(texts, input_type, tally, policy)

    async def _with_retries(self, texts: Sequence[str], input_type: InputType, tally: Tally, policy: RetryPolicy) -> Attempted[Answer]:
        async def attempt(_: int) -> Answer:
            body = orjson.dumps(self._request(texts, input_type))
            return await ask(self.endpoint, body, self._read, len(texts), self._dimensions)

        per_byte = self._tokens_seen / self._bytes_seen if self._bytes_seen else TOKENS_PER_BYTE
        return await with_retries(
            attempt,
            policy=policy,
            budget=self.endpoint.budget,
            circuit=self.endpoint.circuit,
            limiter=self.endpoint.limiter,
            clock=self.endpoint.clock,
            rng=self.endpoint.rng,
            tokens=per_byte * sum(map(byte_size, texts)),
            inputs=len(texts),
            classify=_meaning,
            used=lambda answer: answer.tokens,
            tally=tally,
        )

    def _refused(
        self, error: RefusedError, texts: Sequence[str], tally: Tally, *, others_succeeded: bool
    ) -> tuple[Embedded, list[list[int]]]:
        """Return what follows on a refused batch, or raise what the refusal says about the endpoint."""
        failure = error.verdict.failure
        if failure is FailureClass.AUTH:
            raise AuthError(str(error)) from error
        if failure is FailureClass.QUOTA:
            raise QuotaError(f"billing or quota, not speed: {error}") from error
        if failure is FailureClass.CONFIG:
            raise EndpointError(str(error)) from error
        spent = replace(no_vectors(), usage=Usage(tally.attempts, tally.attempts - 1), waits=tally.waits)
        if failure is FailureClass.TRANSIENT:
            if not self.endpoint.proven:
                raise OutageError(f"{error} ({tally.attempts} attempts)") from error
            if not others_succeeded:
                # Nothing has succeeded meanwhile, so it says nothing about these texts; the circuit counts how often this happens.
                return spent, [list(range(len(texts)))]
        if failure is FailureClass.TOO_BIG:
            self._learn(error.verdict, texts)
        if not self.endpoint.proven and self._adapt(error.verdict):
            return spent, [list(range(len(texts)))]
        if len(texts) == 1:
            self._count_refusal(error)
        after = aftermath(error.verdict, len(texts))
        failures = tuple(EmbedFailure(place, reason, str(error), tally.attempts) for place, reason in after.failed.items())
        return replace(spent, failures=failures), after.parts

    def _count_refusal(self, error: RefusedError) -> None:
        """Raise EndpointError when it is the endpoint that is wrong and not one text after the other."""
        if self.endpoint.proven or error.verdict.failure not in (FailureClass.UNKNOWN, FailureClass.BAD_RESPONSE):
            return
        self._same_refusals.append(re.sub(r"[0-9a-f-]{8,}|\d+", "", str(error)))
        if len(self._same_refusals) >= SAME_REFUSALS and len(set(self._same_refusals[-SAME_REFUSALS:])) == 1:
            raise EndpointError(f"{error} (the same for {SAME_REFUSALS} texts, and none was accepted)") from error

    def _learn(self, verdict: Verdict, texts: Sequence[str]) -> None:
        """Remember for later batches how much the endpoint takes at once."""
        if verdict.cap is not None and verdict.cap > 0:
            self._fits = replace(self._fits, max_items=min(verdict.cap, self._fits.max_items))
        elif len(texts) > 1:
            # 5 % less than it says: tokens are not spread evenly over bytes.
            most = int(sum(map(byte_size, texts)) * (0.95 * verdict.share if verdict.share else 0.5))
            self._fits = replace(self._fits, max_bytes=min(most, self._fits.max_bytes or most))

    def _cost(self, answer: Answer) -> float | None:
        if answer.cost is not None or self.price_per_million_tokens is None or answer.tokens is None:
            return answer.cost
        return answer.tokens * self.price_per_million_tokens / 1e6

    async def _leave_loop(self) -> None:
        await self.endpoint.leave_loop()


def _meaning(error: Exception) -> tuple[FailureClass, float | None]:
    if isinstance(error, RefusedError):
        return error.verdict.failure, error.hint
    raise error
