"""What the fake batch servers of all vendors have in common: files, batches, limits and the work on the lines."""

from __future__ import annotations

import math
import string
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

import orjson

from asyncrun.testing.batch_servers.books import BilledLine, Books, SeenBatch, SeenUpload, digest_of
from asyncrun.testing.batch_servers.calls import LostReplyError, OnlineAnswer, VendorCall, VendorReply
from asyncrun.testing.batch_servers.clock import ServerClock
from asyncrun.testing.batch_servers.faults import BatchFaults
from asyncrun.testing.batch_servers.limits import HOUR, VendorTerms, too_many
from asyncrun.testing.batch_servers.schedule import BatchProblem, FakeBatch, FakeLine, LineReply, StagePace
from asyncrun.testing.batch_servers.tokens import tokens_used

SPOILED = LineReply(500, {"error": {"message": "The server had an error while processing your request.", "type": "server_error"}})


@dataclass(slots=True, eq=False)
class StoredFile:
    """A file as it lies at a vendor's; `expires` is a moment."""

    id: str
    owner: str
    name: str
    purpose: str
    content: bytes
    created: float
    expires: float = math.inf
    gone: bool = False


def unanswered(path: str, document: Any) -> tuple[int, Any]:
    """Answer nothing: the shop belongs to no server yet."""
    return 404, None


@dataclass(slots=True, eq=False)
class Shop:
    """What all vendors of one server share: time, chance, faults, the pace of batches, the answers, the counts."""

    clock: ServerClock
    rng: Random
    faults: BatchFaults
    seconds: float
    answer: OnlineAnswer = unanswered
    books: Books = field(default_factory=Books)


class CallRefused(Exception):  # noqa: N818 (a reply, no error of ours)
    """The server refuses a call: a status, a sentence and the word for programs."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param


class VendorDesk(ABC):
    """Files and batches of one vendor. A vendor's class routes calls, reads lines and writes what it says of a batch."""

    name: ClassVar[str]
    terms: ClassVar[VendorTerms]
    roots: ClassVar[tuple[tuple[str, ...], ...]] = (("v1",),)
    places: ClassVar[tuple[str, ...]] = ("files", "batches")
    keeps_finished: ClassVar[bool] = True

    def __init__(self, shop: Shop, terms: VendorTerms | None = None) -> None:
        self.shop = shop
        self.rules = terms or self.terms
        self.files: dict[str, StoredFile] = {}
        self.batches: dict[str, FakeBatch] = {}
        self.now = shop.clock.now()
        self._numbers = 0
        self._made: deque[float] = deque()

    def reply(self, call: VendorCall, *, known: bool) -> VendorReply | None:
        """Return the reply to a call, None for a path of no batch endpoint; `known` is whether its key is. Raises CallRefused."""
        steps = self.steps_of(call.parts)
        if steps is None:
            return None
        if not known:
            raise CallRefused(401, f"Incorrect API key provided: {call.key}.", "invalid_api_key")
        self.settle()
        sent = self.route(call, steps)
        if sent is None:
            raise CallRefused(404, f"Unknown request URL: {call.method} /{'/'.join(call.parts)}.", "unknown_url")
        return sent

    def steps_of(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the steps of a path behind the root, None where it leads elsewhere."""
        behind = (parts[len(root) :] for root in self.roots if parts[: len(root)] == root)
        return next((steps for steps in behind if steps and steps[0] in self.places), None)

    @abstractmethod
    def route(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call, None where there is nothing. Raises CallRefused."""

    @abstractmethod
    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as the vendor tells it."""

    def new_id(self, prefix: str, length: int = 24, letters: str = string.ascii_lowercase + string.digits) -> str:
        """Return an id that was never given."""
        return prefix + "".join(self.shop.rng.choices(letters, k=length))

    def settle(self) -> None:
        """Bring all batches to this moment, which is `now` until the next call: lines that are done are answered, and billed."""
        self.now = self.shop.clock.now()
        for batch in self.batches.values():
            for line in batch.due(self.now):
                line.reply = self._answered(batch, line)

    def _answered(self, batch: FakeBatch, line: FakeLine) -> LineReply:
        faults = self.shop.faults
        if faults.hits(batch.number) and faults.failing and Random(f"{batch.id} {line.custom_id}").random() < faults.failing:  # noqa: S311
            return SPOILED
        status, body = self.shop.answer(line.path, line.document)
        spent, received = tokens_used(body, line.tokens)
        if status == 200:
            price = self.rules.price
            billed = BilledLine(self.name, batch.id, line.custom_id, digest_of(line.document), spent, received, price)
            self.shop.books.billed.append(billed)
        return LineReply(status, body, spent, received)

    def store(self, owner: str, name: str, content: bytes, **about: Any) -> StoredFile:
        """Keep a file, as long as the vendor does; `about` are fields of it that are to be others."""
        about = {"id": self.file_id(), "purpose": "batch", "created": self.now, "expires": self.now + self.rules.kept, **about}
        stored = StoredFile(owner=owner, name=name, content=content, **about)
        self.files[stored.id] = stored
        return stored

    def file_id(self) -> str:
        """Return an id for a new file."""
        return self.new_id("file-")

    def uploaded(self, stored: StoredFile) -> None:
        """Count a file that was handed over."""
        lines = len([line for line in stored.content.split(b"\n") if line.strip()])
        self.shop.books.uploads.append(SeenUpload(self.name, stored.id, len(stored.content), lines))

    def file_of(self, call: VendorCall, file_id: str) -> StoredFile:
        """Return a file of whoever calls. Raises CallRefused with 404."""
        stored = self.files.get(file_id)
        if stored is None or stored.owner != call.key or stored.gone or stored.expires <= self.now:
            raise CallRefused(404, f"No such File object: {file_id}", param="id")
        return stored

    def my_files(self, call: VendorCall) -> list[StoredFile]:
        """Return the files of whoever calls, newest first."""
        mine = [stored for stored in self.files.values() if stored.owner == call.key and not stored.gone and stored.expires > self.now]
        return mine[::-1]

    def batch_of(self, call: VendorCall, batch_id: str) -> FakeBatch:
        """Return a batch of whoever calls. Raises CallRefused with 404, of a new one too where the faults say so."""
        batch = self.batches.get(batch_id)
        if batch is None or batch.owner != call.key:
            raise CallRefused(404, f"No batch found with id '{batch_id}'.")
        batch.asked += 1
        if self.shop.faults.hits(batch.number) and batch.asked <= self.shop.faults.unseen:
            raise CallRefused(404, f"No batch found with id '{batch_id}'.")
        return batch

    def cancel(self, call: VendorCall, batch_id: str) -> FakeBatch:
        """Begin the end of a batch; one that has ended stays as it is. Raises CallRefused."""
        batch = self.batch_of(call, batch_id)
        if batch.cancelled is None and not batch.stage(self.now).over:
            batch.cancelled = self.now
        return batch

    def mine(self, call: VendorCall) -> list[FakeBatch]:
        """Return the batches of whoever calls, newest first."""
        return sorted((batch for batch in self.batches.values() if batch.owner == call.key), key=lambda batch: -batch.number)

    def submit(
        self,
        call: VendorCall,
        batch_id: str,
        lines: list[FakeLine],
        problems: list[BatchProblem],
        **about: Any,
    ) -> FakeBatch:
        """Take a batch, and say so, or cut the connection. Raises CallRefused where there are too many."""
        self._admit(call, lines)
        number, faults = self._numbers, self.shop.faults
        self._numbers += 1
        hit = faults.hits(number)
        if hit and faults.refused:
            self.shop.books.refused[self.name] += 1
            raise CallRefused(400, "The batch cannot be created at this time.", "invalid_request")
        pace = StagePace.of(self.shop.seconds, faults.slow if hit else 1.0)
        about = {"window": self.rules.window, "keeps_finished": self.keeps_finished, **about}
        batch = FakeBatch(
            number, batch_id, call.key, self.now, pace=pace, lines=lines, request=call.document, problems=tuple(problems), **about
        )
        if hit and faults.bills_and_expires:
            batch.never_ends, batch.keeps_finished = True, False
        batch.plan_work(Random(f"{batch.id} work"), faults.stragglers if hit else 0.0)  # noqa: S311 (no secret)
        self.batches[batch.id] = batch
        ids, bodies = tuple(line.custom_id for line in lines), tuple(digest_of(line.document) for line in lines)
        self.shop.books.created.append(SeenBatch(self.name, batch.id, batch.label, ids, bodies))
        if hit and faults.lost_reply:
            raise LostReplyError
        return batch

    def _admit(self, call: VendorCall, lines: list[FakeLine]) -> None:
        while self._made and self._made[0] <= self.now - HOUR:
            self._made.popleft()
        refused = too_many(self.rules, len(self._made), self.under_way(call), len(lines))
        if refused is not None:
            self.shop.books.refused[self.name] += 1
            raise CallRefused(429, refused, "rate_limit_exceeded")
        self._made.append(self.now)

    def under_way(self, call: VendorCall) -> list[FakeBatch]:
        """Return the batches of whoever calls that are not over yet."""
        return [batch for batch in self.mine(call) if not batch.stage(self.now).over]

    def results(self, batch: FakeBatch, rows: list[Any], id_key: str = "custom_id") -> bytes:
        """Return the lines of the results, wrong as the faults have it; `rows` is their JSON, with the id under `id_key`."""
        faults = self.shop.faults if self.shop.faults.hits(batch.number) else BatchFaults()
        kept = rows[faults.missing_ids :]
        foreign = [{**row, id_key: self.new_id("request-", 6)} for row in kept[: faults.foreign_ids]]
        texts = [orjson.dumps(row) + b"\n" for row in [*kept, *kept[: faults.doubled_ids], *foreign]]
        if faults.half_line and texts:
            texts[-1] = texts[-1][: len(texts[-1]) // 2]
        return b"".join(texts)

    def hides_results(self, batch: FakeBatch) -> bool:
        """Tell whether the results cannot be had any more though the batch tells of them."""
        return self.shop.faults.output_gone and self.shop.faults.hits(batch.number)

    def strange_word(self, batch: FakeBatch) -> str | None:
        """Return the undocumented word for a batch under way, None where it has its own."""
        if self.shop.faults.hits(batch.number) and not batch.stage(self.now).over and self.now >= batch.started:
            return self.shop.faults.strange_state
        return None


def rows_of(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a JSONL file with their numbers, from 1; one that is no object is None."""
    for number, text in enumerate(content.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError:
            row = None
        yield number, row if isinstance(row, dict) else None
