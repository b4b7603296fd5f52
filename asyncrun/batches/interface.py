"""The port of batch endpoints: requests are handed over in a file, wait at the provider, and their replies are fetched later."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from asyncrun.short_help import ShortHelp, ShortHelpProtocol

Purpose = Literal["embeddings", "chat"]
"""What the requests of a batch ask for."""
TAG_LENGTH = 20
"""Characters of a tag: small letters and digits, so that `TAG-NUMBER` is an id that every vendor takes."""
_REQUEST_ID = re.compile(rf"([a-z0-9]{{{TAG_LENGTH}}})-(0|[1-9][0-9]{{0,8}})")


class BatchState(StrEnum):
    """How a batch stands at its provider, in one vocabulary; `UNKNOWN` is a word that nobody has documented: it is waited for."""

    WAITING = "waiting"
    CANCELLING = "cancelling"
    ENDED = "ended"
    """All is done that will be: which says nothing about how many of its requests have succeeded."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Refused as a whole: nothing of it was done."""
    UNKNOWN = "unknown"

    @property
    def over(self) -> bool:
        """Tell whether it will never change again."""
        return self in (BatchState.ENDED, BatchState.EXPIRED, BatchState.CANCELLED, BatchState.FAILED)


@dataclass(frozen=True, slots=True)
class BatchTerms(metaclass=ShortHelp):
    """What a provider takes in one batch, and on which terms.

    Attributes:
        requests: Most requests of a batch.
        size: Most bytes of all its lines, as the provider says it; room is kept free where batches are cut.
        inputs: Most texts of all its requests, None where only the requests are counted.
        inputs_per_request: Most texts of one request, None: as many as online.
        price: What is paid, as a part of the price online.
        window: Seconds within which a batch is done, or expires.
        kept: Seconds for which replies are kept after the end, None where nothing is said of it.
        poll: Seconds between two looks at a batch, at least.

    >>> BatchTerms(requests=50_000, size=200_000_000).price
    0.5
    """

    requests: int
    size: int
    inputs: int | None = None
    inputs_per_request: int | None = None
    price: float = 0.5
    window: float = 86_400.0
    kept: float | None = None
    poll: float = 60.0


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One line: its id, unique in the batch, and the JSON that the same request has online."""

    custom_id: str
    body: dict[str, Any]


def request_id(tag: str, number: int) -> str:
    """Return the id of a request, `number` from 0, in the batch with a tag.

    >>> request_id("0123456789abcdefghij", 17)
    '0123456789abcdefghij-17'
    """
    return f"{tag}-{number}"


def parse_request_id(custom_id: object) -> tuple[str, int] | None:
    """Return tag and number of the id of a request, None where it is none of ours.

    >>> parse_request_id("0123456789abcdefghij-17"), parse_request_id("request-17")
    (('0123456789abcdefghij', 17), None)
    """
    found = _REQUEST_ID.fullmatch(custom_id) if isinstance(custom_id, str) else None
    return None if found is None else (found[1], int(found[2]))


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A batch as its provider tells of it.

    `tag` is what we gave it, None for one that is not ours, or whose provider does not tell; `word` is the provider's own word for its
    state, `message` why it failed, and `full` says that too much of ours was waiting there. `created` is in seconds since 1970.
    `files` are the ids of our files there, which `delete` removes, `reply_files` those of them with replies. Numbers are None until told.
    `has_replies` tells whether replies can be fetched: of some vendors not before the end, of some also after an expiry.
    """

    id: str
    tag: str | None
    state: BatchState
    word: str
    created: float | None = None
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    files: tuple[str, ...] = ()
    reply_files: tuple[str, ...] = ()
    message: str | None = None
    full: bool = False
    has_replies: bool = False


@dataclass(frozen=True, slots=True)
class BatchReply:
    """What came of one request: the JSON of the reply as online, or a failure.

    Of a failure `reason` is a word as that of an ItemError, and `again` tells whether the request was not done at all (expired, cancelled,
    an error of the server, a key or a quota that was refused) and is worth sending again. Of one id there may be several: the first
    that can be believed counts.
    """

    custom_id: str
    body: Any = None
    reason: str | None = None
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a provider has not taken a batch.

    `full`: too much of ours is waiting there, and later it may. `absent`: what the batch names is not there, such as its file.
    """

    message: str
    full: bool = False
    absent: bool = False


class BatchEndpoint(Protocol, metaclass=ShortHelpProtocol):
    """A provider's batch endpoint for one model. Nothing here waits for a batch, and nothing is created twice by it.

    Every method raises AuthError, QuotaError, ThrottledError, OutageError or EndpointError for what is about the endpoint, after it has
    tried what may be tried again: `create` is sent once.
    """

    provider: str
    host: str
    terms: BatchTerms

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str | None:
        """Hand the requests over; returns the id of the file there, None for a vendor that takes them with `create`.

        Blocks no loop: the requests are taken one by one in another thread.
        """

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit a batch of what was uploaded, and return it, or why the provider does not take it.

        With a file it is enough to give one request like those in it: some vendors are told with the batch what all of them say.

        None where the reply was lost, or was none: whether the batch is there only `find` can tell.
        """

    async def find(self, tag: str, since: float, requests: int) -> list[ProviderBatch]:
        """Return the batches of a tag that were created since a moment (seconds since 1970), the oldest first.

        The moment is by the clock of this machine; an adapter allows for another one at the provider.

        A vendor that tells neither name nor metadata is asked by time and number of requests, and by the ids of the replies once there are
        some. Before that the `tag` of what is returned is None: it is the one that was looked for unless another tag is known to have it.
        """

    async def get(self, batch_id: str, created: float | None = None) -> ProviderBatch | None:
        """Return how a batch stands, None where the provider does not know it: with another key, or after the time that it is kept.

        One that was created a moment ago (seconds since 1970) is asked for until a minute has passed: some vendors know it only later.
        """

    def batches(self) -> AsyncIterator[ProviderBatch]:
        """Yield what lies at the provider, newest first, ours and others'."""

    def replies(self, batch: ProviderBatch) -> AsyncIterator[BatchReply]:
        """Yield the replies that are there, in no order; what cannot be read or is not ours is left out, and told by `warn` of the adapter.

        Raises RepliesGoneError where they are not kept any more.
        """

    async def cancel(self, batch_id: str) -> None:
        """Ask for the end of a batch; one that is over already stays as it is."""

    async def delete(self, batch: ProviderBatch) -> int:
        """Remove its files there, and the batch where that is possible; returns how many. What is gone already is no error."""

    async def aclose(self) -> None:
        """Close connections; may be called twice."""
