"""Requests are cut into batches as large as a provider takes, each kept on disk while it is handed over; memory holds a few requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from asyncrun.batches.interface import BatchRequest, BatchTerms, Purpose, request_id
from asyncrun.jobs.delivery.work import WorkRequest
from asyncrun.jobs.unfinished_texts import Spool
from asyncrun.ledger.job_records import Amount
from asyncrun.records import KEY_BYTES

LINE_BYTES = 200
"""Of a line beside the request itself: its id, its address, and what a vendor puts around it; 96 in OpenAI's form."""


@dataclass(slots=True, eq=False)
class CutBatch:
    """The requests of one batch, which are read as often as they are needed, with their keys and what they are expected to use."""

    spool: Spool[WorkRequest]
    keys: bytearray = field(default_factory=bytearray)
    expected: Amount = field(default_factory=Amount)

    def __len__(self) -> int:
        return len(self.keys) // KEY_BYTES

    def requests(self, tag: str) -> Iterator[BatchRequest]:
        """Yield them as lines of a batch. Blocks. Raises StorageError."""
        return (BatchRequest(request_id(tag, number), request.body) for number, request in enumerate(self.spool))

    def close(self) -> None:
        """Give up the room on the disk. Blocks."""
        self.spool.close()


class RequestStream:
    """Requests one after the other, of which the last one that was taken may be put back. Blocks."""

    def __init__(self, requests: Iterator[WorkRequest]) -> None:
        self._requests = requests
        self._back: WorkRequest | None = None

    def take(self) -> WorkRequest | None:
        """Return the next one, None at the end."""
        taken, self._back = self._back, None
        return taken or next(self._requests, None)

    def put_back(self, request: WorkRequest) -> None:
        """Have it taken next."""
        self._back = request

    def fits(self, left: Amount) -> bool:
        """Tell whether the next one is expected to use no more than that; nothing uses nothing."""
        if (request := self.take()) is None:
            return True
        self.put_back(request)
        return request.expected.tokens <= left.tokens and request.expected.cost <= left.cost


def most_requests(terms: BatchTerms, purpose: Purpose) -> int:
    """Return how many requests a batch takes; one of embeddings has one text.

    >>> most_requests(BatchTerms(requests=50_000, size=1, inputs=1_000), "embeddings")
    1000
    """
    return min(terms.requests, terms.inputs or terms.requests) if purpose == "embeddings" else terms.requests


def cut_batch(requests: RequestStream, folder: Path, most: int, size: int, left: Amount | None = None) -> CutBatch:
    """Take the next requests, as many as make a batch; one that is too large by itself makes its own. Blocks. Raises StorageError.

    Args:
        requests: what is taken from: what is not taken stays.
        folder: where they are kept.
        most: how many at most.
        size: bytes of all lines at most.
        left: what is left of a budget, None without one: what passes it is not taken, but for the first request.
    """
    batch = CutBatch(Spool[WorkRequest](folder))
    batch.spool.add_all(_taken(batch, requests, most, size, left))
    return batch


def _taken(batch: CutBatch, requests: RequestStream, most: int, size: int, left: Amount | None) -> Iterator[WorkRequest]:
    """Yield the requests that a batch takes, and note them there."""
    held = 0
    while len(batch) < most and (request := requests.take()) is not None:
        line = len(orjson.dumps(request.body)) + LINE_BYTES
        expected = batch.expected + request.expected
        if len(batch) and (held + line > size or (left is not None and (expected.tokens > left.tokens or expected.cost > left.cost))):
            requests.put_back(request)
            return
        batch.keys += request.key
        batch.expected, held = expected, held + line
        yield request
