"""What is delivered in batches: how a kind makes requests of what is not finished, and keeps what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from asyncrun.batches.interface import BatchEndpoint, Purpose
from asyncrun.jobfile.units import Deadline
from asyncrun.ledger.job_records import Amount
from asyncrun.records import EmbedFailure, Space
from asyncrun.usage import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a job is delivered.

    Attributes:
        endpoint: Where batches go.
        rng: Draws their tags.
        online_stragglers: Whether what a batch has not done is sent online at once, and not put into another one.
        deadline: By when all is to be done, None: whenever it is.
    """

    endpoint: BatchEndpoint
    rng: Random
    online_stragglers: bool = False
    deadline: Deadline | None = None


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """One request: the key in the ledger of what it asks for, its JSON as online, and what it is expected to use at the price online."""

    key: bytes
    body: dict[str, Any]
    expected: Amount


@dataclass(frozen=True, slots=True)
class WorkReply:
    """The reply to a request: its key and the JSON as online."""

    key: bytes
    document: Any


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of replies: those that are durable, those that failed by themselves, what they have used at the price online.

    What is neither among `done` nor `failures` is left over: it is sent again, or online.
    """

    done: Sequence[bytes] = ()
    failures: Sequence[tuple[bytes, EmbedFailure]] = ()
    usage: Usage = Usage()


class BatchWork(Protocol):
    """What one job sends in batches. One key is one request: an embedding's text, or a conversation.

    Nothing of it but the keys outlives the run: replies are read without what was asked.
    """

    @property
    def space(self) -> Space:
        """Return the space that the vectors or answers come into."""

    @property
    def purpose(self) -> Purpose:
        """Return what is asked for."""

    def requests(self) -> Iterator[WorkRequest]:
        """Yield what is neither finished nor failed now; of a key that comes twice one is sent. Blocks.

        It is called again after batches were collected.
        """

    def seconds_online(self, requests: int, tokens: int) -> float | None:
        """Return how long so many requests of the work with so many tokens take online, at the limits; None where none is known."""

    def finished(self, keys: bytes) -> NDArray[np.bool_]:
        """Tell which of the keys, one after the other, are finished by now, for the job's generation. Blocks."""

    async def keep(self, replies: Sequence[WorkReply]) -> Kept:
        """Prove replies as online, and return when what is good is durable; counts what is done. May get a key that is finished.

        A failure that the ordinary way may mend, as of a text that is too long, is none here where the job has it mended.
        """

    def fail(self, failures: Sequence[tuple[bytes, EmbedFailure]]) -> None:
        """Take note of what has failed by itself: the ordinary way is not to send it, and has it as a failed item.

        Comes again and again with the same; what the ordinary way may mend is left to it.
        """
