"""Which texts of a call are sent together and next, by what has come back so far: decides, and sends nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.classify import Verdict
from asyncrun.packing import BatchLimits, pack, split

FIRST_ITEMS = 2
"""Texts of the first request: it shows what the endpoint makes of requests."""
_ABOUT_ONE_TEXT = (FailureClass.TOO_LONG, FailureClass.ITEM)


@dataclass(frozen=True, slots=True)
class Part:
    """Texts that are sent together, by their positions in the call.

    `since` is how many requests had succeeded when they were first sent, or when they were split off; None before that.
    """

    positions: tuple[int, ...]
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a server takes at once, as far as its replies have told; `answered` is the size in bytes of the largest answered request."""

    limits: BatchLimits = field(default_factory=lambda: BatchLimits(max_items=2**31))
    answered: int = 0

    def after(self, verdict: Verdict, sizes: Sequence[int]) -> Capacity:
        """Return what is known after a request with texts of these sizes in bytes was refused.

        >>> Capacity().after(Verdict(FailureClass.TOO_BIG, "", cap=32), [9] * 64).limits.max_items
        32
        """
        whole, limits = sum(sizes), self.limits
        if verdict.failure is FailureClass.TOO_SLOW:
            # Never less than was answered in time: this request may be an exception.
            return replace(self, limits=_at_most(limits, max(whole // 2, self.answered)))
        if verdict.failure is not FailureClass.TOO_BIG:
            return self
        if verdict.cap is not None and verdict.cap > 0:
            return replace(self, limits=replace(limits, max_items=min(verdict.cap, limits.max_items)))
        if len(sizes) > 1:
            # 5 % less than it says: tokens are not spread evenly over bytes.
            return replace(self, limits=_at_most(limits, int(whole * (0.95 * verdict.share if verdict.share else 0.5))))
        return self


def _at_most(limits: BatchLimits, size: int) -> BatchLimits:
    return replace(limits, max_bytes=min(size, limits.max_bytes or size))


class Splitter:
    """The texts of one call that are not answered yet.

    Args:
        sizes: The bytes of each text.
        positions: The texts that are to be sent; None: all.
        together: Whether they must go in one request, since each has a part in the vectors of the others.
    """

    def __init__(self, sizes: Sequence[int], positions: Sequence[int] | None = None, *, together: bool = False) -> None:
        self._sizes = sizes
        self._together = together
        whole = tuple(range(len(sizes)) if positions is None else positions)
        self._parts = deque([Part(whole)] if whole else [])

    @property
    def left(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._parts)

    def sizes_of(self, part: Part) -> list[int]:
        """Return the bytes of the texts of a part."""
        return [self._sizes[position] for position in part.positions]

    def take(self, capacity: Capacity, *, proven: bool, successes: int) -> Part:
        """Return what is sent next, as much as the server takes; a few texts as long as it has answered nothing."""
        part = self._parts.popleft()
        first, *later = self._portions(part.positions, capacity, proven=proven)
        self._parts.extendleft(Part(tuple(portion)) for portion in reversed(later))
        return Part(tuple(first), successes if part.since is None else part.since)

    def again(self, part: Part, *, proven: bool, successes: int) -> None:
        """Have a part sent once more, as it is, because nothing is known about its texts."""
        if proven:
            # Behind the others: only when one of them succeeds meanwhile is it known that the fault is in this part.
            self._parts.append(part)
        else:
            self._parts.appendleft(Part(part.positions, successes))

    def answered(self, part: Part, rejected: Collection[int], *, successes: int) -> dict[int, str]:
        """Take note of an answer; `rejected` are the texts (their indexes in the part) with vectors that are none.

        Such a vector may be the text's fault or an accident: it is asked for again, alone. Returns why texts fail for good.
        """
        if self._together:
            return dict.fromkeys(rejected, "bad_response")
        self._next([[position] for position in rejected], part, successes)
        return {}

    def failed(self, part: Part, verdict: Verdict, *, successes: int) -> dict[int, str]:
        """Take note of a call without an answer; returns why texts (their indexes in the part) fail for good.

        A text that the server names fails at once, the others go on together. Otherwise the part is halved until one text is left to
        blame; when one is too long the shorter half goes apart, since the long ones are most likely all in the other. Texts that must
        stay together fail together. While nothing else has succeeded, a fault of the server says nothing about these texts: they are
        sent again.

        >>> Splitter([9] * 4).failed(Part((0, 1, 2, 3), 0), Verdict(FailureClass.TOO_LONG, "", blamed_index=1), successes=0)
        {1: 'too_long'}
        """
        indexes = list(range(len(part.positions)))
        if verdict.failure is FailureClass.TRANSIENT and successes <= (part.since or 0):
            self.again(part, proven=True, successes=successes)
            return {}
        if len(indexes) == 1 or self._together:
            return dict.fromkeys(indexes, verdict.reason)
        if verdict.failure in _ABOUT_ONE_TEXT and verdict.blamed_index is not None and verdict.blamed_index < len(indexes):
            self._next([[index for index in indexes if index != verdict.blamed_index]], part, successes)
            return {verdict.blamed_index: verdict.reason}
        if verdict.failure is FailureClass.TOO_LONG:
            indexes.sort(key=self.sizes_of(part).__getitem__)
        self._next(split(indexes, cap=verdict.cap), part, successes)
        return {}

    def _portions(self, positions: Sequence[int], capacity: Capacity, *, proven: bool) -> list[Sequence[int]]:
        if self._together:
            return [positions]
        if not proven:
            return [portion for portion in (positions[:FIRST_ITEMS], positions[FIRST_ITEMS:]) if portion]
        return list(pack(((position, self._sizes[position]) for position in positions), capacity.limits))

    def _next(self, parts: Sequence[Sequence[int]], whole: Part, successes: int) -> None:
        self._parts.extendleft(Part(tuple(whole.positions[index] for index in indexes), successes) for indexes in reversed(parts))
