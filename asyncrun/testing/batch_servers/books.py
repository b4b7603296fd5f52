"""What the fake batch servers count, for tests to read: every upload, every batch, every request that was worked on, and what it costs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class SeenUpload:
    """A file that was handed over."""

    vendor: str
    id: str
    size: int
    lines: int


@dataclass(frozen=True, slots=True)
class SeenBatch:
    """A batch that was accepted; `label` is the metadata or the name that it was given, `bodies` are digests of its requests' JSON."""

    vendor: str
    id: str
    label: Any
    custom_ids: tuple[str | None, ...]
    bodies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A request that was worked on and is paid; `body` is a digest of its JSON, the same for the same request online."""

    vendor: str
    batch: str
    custom_id: str | None
    body: str
    input_tokens: int
    output_tokens: int
    price: float


@dataclass(slots=True, eq=False)
class Books:
    """All of it, in the order in which it happened; `refused` counts submissions that were not taken, by vendor.

    >>> books = Books()
    >>> books.billed.append(BilledLine("openai", "batch_1", "a-1", digest_of({}), 1_000_000, 0, 0.5))
    >>> books.cost(input_price=2.0), books.paid_twice()
    (1.0, [])
    """

    uploads: list[SeenUpload] = field(default_factory=list)
    created: list[SeenBatch] = field(default_factory=list)
    billed: list[BilledLine] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def paid_twice(self) -> list[str]:
        """Return the digests of requests that were worked on more than once."""
        return [body for body, times in Counter(line.body for line in self.billed).items() if times > 1]

    def submitted_twice(self) -> list[str]:
        """Return the digests of requests that stand in more than one accepted batch, or twice in one."""
        return [body for body, times in Counter(body for batch in self.created for body in batch.bodies).items() if times > 1]

    def cost(self, input_price: float, output_price: float = 0.0) -> float:
        """Return what the batches cost at prices online, per million tokens."""
        return sum(line.price * (line.input_tokens * input_price + line.output_tokens * output_price) for line in self.billed) / 1e6

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "uploads": [asdict(upload) for upload in self.uploads],
            "created": [asdict(batch) for batch in self.created],
            "billed": [asdict(line) for line in self.billed],
            "refused": dict(self.refused),
        }


def digest_of(document: Any) -> str:
    """Return the digest of a request's JSON, whatever the order of its names.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.blake2b(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
