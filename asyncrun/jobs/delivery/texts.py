"""Texts whose vectors are delivered in batches: one text a request, so that what is wrong with one is wrong with it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.batches.interface import Purpose
from asyncrun.embedders.interface import BatchEmbedder
from asyncrun.endpoints.replies import BadReplyError
from asyncrun.escape import is_utf8
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.delivery.work import Kept, WorkReply, WorkRequest
from asyncrun.jobs.forecast import at_limits, expected
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished
from asyncrun.records import EmbedFailure, InputType, Pending, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class TextWork:
    """The texts of a job.

    Args:
        embedder: writes requests, reads replies.
        input_type: what the texts are embedded as.
        context: that of the job.
        unfinished: yields the texts that are not finished now. Blocks.
        failed: takes in by key what has failed by itself, and is not sent again.
        done: is told the keys of vectors that have just become durable.
    """

    embedder: BatchEmbedder
    input_type: InputType
    context: JobContext
    unfinished: Callable[[], Iterable[Pending]]
    failed: dict[bytes, EmbedFailure]
    done: Callable[[Sequence[bytes]], object]
    purpose: Purpose = "embeddings"

    @property
    def space(self) -> Space:
        """Return the space that the vectors come into."""
        return self.embedder.space(self.input_type)

    def requests(self) -> Iterator[WorkRequest]:
        """Yield a request for each text. Blocks. What is no text, the ordinary way says."""
        for pending in self.unfinished():
            if pending.key not in self.failed and is_utf8(pending.text):
                amount = expected(self.embedder, self.input_type, self.context.rate, [pending])
                yield WorkRequest(pending.key, self.embedder.request_body([pending.text], self.input_type), amount)

    def seconds_online(self, requests: int, tokens: int) -> float | None:
        """Return how long so many texts take online, at the limits; None where none is known."""
        calls = -(-requests // self.embedder.batch.max_items)
        return at_limits(self.embedder.rate_limits, calls, tokens, requests)[0]

    def finished(self, keys: bytes) -> NDArray[np.bool_]:
        """Tell which texts are finished. Blocks."""
        return self.context.ledger.index(self.space, self.context.generation.since).find(keys_array(keys)) >= 0

    async def keep(self, replies: Sequence[WorkReply]) -> Kept:
        """Prove vectors as online, and return when they are durable."""
        good: list[tuple[bytes, NDArray[np.float32]]] = []
        failures: list[tuple[bytes, EmbedFailure]] = []
        usage = Usage()
        for reply in replies:
            try:
                answer = self.embedder.read_reply(1, reply.document, self.input_type)
            except BadReplyError:
                continue  # Sent again, as online.
            usage += answer.usage
            answer.or_raise()
            failures += [(reply.key, failure) for failure in answer.failures]
            good += [(reply.key, vector) for vector in answer.vectors]
        known = await self._finished_of([key for key, _ in good])
        new = [(key, vector) for (key, vector), there in zip(good, known, strict=True) if not there]
        if new:
            keys = [key for key, _ in new]
            await self.context.ledger.put(self.space, Finished(keys, np.stack([vector for _, vector in new]), [0] * len(new)))
            self.done(keys)
        return Kept([key for key, _ in good], failures, usage)

    async def _finished_of(self, keys: Sequence[bytes]) -> list[bool]:
        found = await asyncio.to_thread(self.finished, b"".join(keys))
        return [bool(each) for each in found]

    def fail(self, failures: Sequence[tuple[bytes, EmbedFailure]]) -> None:
        """Take note of texts that have failed by themselves; too long ones the ordinary way cuts or splits where the job says so."""
        fails = self.embedder.on_too_long == "fail"
        self.failed.update((key, failure) for key, failure in failures if fails or failure.reason != "too_long")
