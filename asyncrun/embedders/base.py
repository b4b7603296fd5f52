"""The root of all embedders: the port that jobs use, and the policies for texts that cannot be sent as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from asyncrun.callbacks.base import CallbackManager
from asyncrun.embedders.interface import Empty, TooLong, merge_outcomes, no_vectors, renumber
from asyncrun.embedders.library_methods import LibraryMethods
from asyncrun.embedders.long_and_empty_texts import LongTexts, find_sendable, key_text
from asyncrun.errors import ArgumentError, AsyncrunError
from asyncrun.packing import BatchLimits, byte_size, pack, safe_bound
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure, InputType, Space

if TYPE_CHECKING:
    from asyncrun.aio.limits import Limits


class BaseEmbedding(LibraryMethods):
    """What every embedder can do; an adapter adds `_embed` and `space`.

    Args:
        model: The provider's name of the model.
        batch: How much one call of `aembed` may carry.
        workers: How many calls of `aembed` in flight make sense.
        on_too_long: What becomes of a text that the model does not take whole: `fail`, `truncate`, or `split` into equal parts whose
            mean, weighted by tokens and of unit length, stands for it.
        on_empty: What becomes of a text of white space alone: `fail` or `skip`.
        document_prefix: Put before every document, for models that are trained with one.
        query_prefix: Put before every query.
        price_per_million_tokens: USD; None when it is not known.
        max_input_tokens: The longest text that the model takes; None when only the endpoint knows.
        callback_manager: Whose handlers are told of requests; without handlers it is the manager that encloses a call.

    >>> from asyncrun.embedders import LocalEmbedding
    >>> embedder: BaseEmbedding = LocalEmbedding()
    >>> cat, pet, tax = embedder.get_text_embedding_batch(["a cat", "a pet that purrs", "the tax office"])
    >>> embedder.similarity(cat, pet) > embedder.similarity(cat, tax)
    True
    """

    provider: str
    keeps_together = False
    """Whether the texts of one request have a part in each other's vectors: what is given together is then sent together."""
    cuts = False
    """Whether the endpoint cuts too long texts by itself when it is told to."""
    # Of these the port says what they are; an adapter that knows more sets them.
    tokenizer: Tokenizer | None = None
    first_items: int | None = None
    comparison_requests = 0

    def __init__(
        self,
        *,
        model: str,
        batch: BatchLimits,
        workers: int,
        on_too_long: TooLong = "fail",
        on_empty: Empty = "fail",
        document_prefix: str = "",
        query_prefix: str = "",
        price_per_million_tokens: float | None = None,
        max_input_tokens: int | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        for name, value, words in (("on_too_long", on_too_long, get_args(TooLong)), ("on_empty", on_empty, get_args(Empty))):
            if value not in words:
                raise ArgumentError(f"{name} is {value!r}, and must be {', '.join(words[:-1])} or {words[-1]}")
        self.callback_manager = callback_manager or CallbackManager()
        self.model_name = model
        self.batch = batch
        self.workers = workers
        self.on_too_long = on_too_long
        self.on_empty = on_empty
        self.price_per_million_tokens = price_per_million_tokens
        self.max_input_tokens = max_input_tokens
        self.truncates_at = max_input_tokens if on_too_long == "truncate" else None
        self._prefixes = {InputType.DOCUMENT: document_prefix, InputType.QUERY: query_prefix}

    @abstractmethod
    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        """Embed texts as they are, prefix included; one that does not fit fails as `too_long`, unless the adapter truncates by itself.

        `cut` is given where the endpoint `cuts`. What ends it early may be raised, or be the outcome's `error` beside what was answered.
        """

    @abstractmethod
    def space(self, input_type: InputType) -> Space:
        """Return the vector space that texts of this input type come into."""

    def prefix(self, input_type: InputType) -> str:
        """Return what is put before every text of this type."""
        return self._prefixes[input_type]

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong before anything is sent, such as a key that is not set."""

    @property
    def tokens_per_byte(self) -> float:
        """Return how many tokens a byte of text stands for at most, as far as is known: 1.0 is the safe bound."""
        return safe_bound()

    @property
    def served_by(self) -> str:
        """Return who serves the model and where: two endpoints of one space are compared before vectors of both are mixed."""
        return f"{self.provider}/{self.model_name}"

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""
        return None

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is stated about the endpoint's limits, None for an embedder without an endpoint."""
        return None

    def count_tokens(self, text: str, input_type: InputType) -> int | None:
        """Return how many tokens are used for a text, prefix and limit included; None without a tokenizer. Blocks."""
        if self.tokenizer is None:
            return None
        count = self.tokenizer.count(self._prefixes[input_type] + text)
        return count if self.truncates_at is None else min(count, self.truncates_at)

    def as_sent(self, text: str, input_type: InputType) -> str:
        """Return what stands for the text in its item key: the prefix included, and the policy where it changes the vector."""
        return key_text(self._prefixes[input_type] + text, self.on_too_long, self.max_input_tokens)

    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> Embedded:
        """Embed texts, `batch.max_items` at most in one request; every text ends with a proven vector or with a failure.

        What is about the endpoint and not about a text (AuthError, QuotaError, ThrottledError, OutageError, EndpointError), or about how it
        is used, ends the call early: it is the outcome's `error`, beside what was answered before.
        """
        ready, failures = find_sendable(texts, self.on_empty)
        if not ready:
            return no_vectors(failures)
        prefix = self._prefixes[input_type]
        sent = [prefix + texts[position] for position in ready]
        try:
            # Whoever has packed a batch himself has it sent as it is.
            if len(sent) <= self.batch.max_items:
                answer = await self._embed(sent, input_type)
            else:
                answer = await self._embed_in_batches(sent, input_type)
        except AsyncrunError as error:
            answer = no_vectors(error=error)
        answer = renumber(answer, ready)
        if self.on_too_long != "fail" and answer.error is None and any(failure.reason == "too_long" for failure in answer.failures):
            answer = await self._with_long_texts(answer, texts, input_type)
        return merge_outcomes([answer, no_vectors(failures)]) if failures else answer

    async def _embed_in_batches(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        """Embed texts that together may be more than one batch, until an error ends it; `cut` has the endpoint cut what is too long."""
        answers: list[Embedded] = []
        embed = partial(self._embed, cut=True) if cut else self._embed
        for batch in self._batches(texts):
            try:
                answer = await embed([texts[position] for position in batch], input_type)
            except AsyncrunError as error:
                answer = no_vectors(error=error)
            answers.append(renumber(answer, batch))
            if answer.error is not None:
                break
        return merge_outcomes(answers)

    async def _with_long_texts(self, answer: Embedded, texts: Sequence[str], input_type: InputType) -> Embedded:
        """Return the answer with vectors for the texts that were too long, by the policy."""
        prefix = self._prefixes[input_type]
        whole, too_long = _parted(answer)
        parts = [whole]
        if self.on_too_long == "truncate" and self.cuts:
            positions = [failure.position for failure in too_long]
            cut = await self._embed_in_batches([prefix + texts[position] for position in positions], input_type, cut=True)
            cut, too_long = _parted(renumber(replace(cut, truncated=frozenset(cut.positions)), positions))
            parts.append(cut)
        long_texts = LongTexts(partial(self._embed_in_batches, input_type=input_type), prefix, self.tokenizer, self.max_input_tokens)
        embed = long_texts.split if self.on_too_long == "split" else long_texts.truncate
        for failure in too_long:
            if parts[-1].error is not None:
                break
            parts.append(renumber(await embed(texts[failure.position], failure), [failure.position]))
        return merge_outcomes(parts)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        if self.keeps_together:
            return iter([list(range(len(texts)))] if texts else [])
        # To tokenize everything once more would cost more than full batches save.
        return pack(((position, byte_size(text)) for position, text in enumerate(texts)), self.batch, lambda: self.tokens_per_byte)

    async def leave_loop(self) -> None:
        """Let go of what belongs to the running event loop, such as connections."""

    async def renew_connections(self) -> None:
        """Close the connections that are open, as after the machine was suspended; requests under way keep theirs."""

    async def aclose(self) -> None:
        """Close connections and threads; may be called twice, and the embedder opens them anew when it is used again."""
        await self.leave_loop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


def _parted(answer: Embedded) -> tuple[Embedded, list[EmbedFailure]]:
    """Return an answer without the failures of texts that are too long, and these."""
    too_long = [failure for failure in answer.failures if failure.reason == "too_long"]
    return replace(answer, failures=tuple(failure for failure in answer.failures if failure.reason != "too_long")), too_long
