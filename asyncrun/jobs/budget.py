"""What a job and a run may spend: reserved durably before a call, corrected by what it has used."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from asyncrun.errors import AsyncrunError, BudgetError
from asyncrun.humanize import dollars
from asyncrun.ledger.job_records import Amount, SpendingAccount, Stopped
from asyncrun.usage import Usage


@dataclass(slots=True)
class RunBudget:
    """Money for all jobs of a run together (`--max-cost`, USD); `spent` holds what is reserved, too."""

    limit: float
    spent: float = 0.0


@dataclass(slots=True)
class ReservedAmount:
    """What a call is expected to use, until `used` says what it did use."""

    expected: Amount
    actual: Amount | None = None

    def used(self, usage: Usage) -> None:
        """Say what the call has used; what the server has not counted stays as it was expected."""
        if usage.tokens:
            self.actual = Amount(usage.tokens, self.expected.cost if usage.cost is None else usage.cost)


@dataclass(slots=True)
class JobBudget:
    """The budget of one job in one run.

    `tokens` and `cost` (USD) are its limits, None without one; `spent` was spent since the job last finished; `stopped` are the limits at
    which it was stopped before: until they are raised it spends nothing.
    """

    account: SpendingAccount
    tokens: int | None = None
    cost: float | None = None
    run_budget: RunBudget | None = None
    spent: Amount = field(default_factory=Amount)
    stopped: Stopped = field(default_factory=Stopped)

    @property
    def durable(self) -> bool:
        """Return whether the job has a budget of its own."""
        return self.tokens is not None or self.cost is not None

    @asynccontextmanager
    async def reserve(self, expected: Amount) -> AsyncIterator[ReservedAmount]:
        """Reserve for a call, which runs inside of the block. Raises BudgetError when it would pass a limit; then nothing is reserved.

        A call that ends with an answer about the endpoint has used nothing. A kill or a cancellation leaves what was reserved, since the
        server may have done the work.
        """
        await self.take(expected)
        reservation = ReservedAmount(expected)
        try:
            yield reservation
        except AsyncrunError:
            await self._add((reservation.actual or Amount()) - expected)
            raise
        if reservation.actual is not None:
            await self._add(reservation.actual - expected)

    async def take(self, expected: Amount) -> None:
        """Reserve for what ends in another run, which `give_back` corrects. Raises BudgetError as `reserve` does."""
        if refusal := self._refusal(expected):
            reason, reached = refusal
            if reached is not None:
                await self.account.stop(reached)
            raise BudgetError(reason)
        await self._add(expected)

    async def give_back(self, more: Amount, *, taken_here: bool) -> None:
        """Give back what was reserved and not used; a run's budget knows only what was `taken_here`."""
        self.spent -= more
        if self.run_budget is not None and taken_here:
            self.run_budget.spent -= more.cost
        if self.durable:
            await self.account.add(Amount() - more)

    def left(self) -> Amount | None:
        """Return what a call may be expected to use at most, None where nothing bounds it; at least nothing."""
        money = [limit - spent for limit, spent in self._money()]
        if self.tokens is None and not money:
            return None
        tokens = sys.maxsize if self.tokens is None else self.tokens - self.spent.tokens
        return Amount(max(tokens, 0), max(min(money, default=math.inf), 0.0))

    def _money(self) -> Iterator[tuple[float, float]]:
        if self.cost is not None:
            yield self.cost, self.spent.cost
        if self.run_budget is not None:
            yield self.run_budget.limit, self.run_budget.spent

    def _refusal(self, expected: Amount) -> tuple[str, Stopped | None] | None:
        """Return why a call must not be made, and which limit of the job it reached; None when it may."""
        after, spent = self.spent + expected, self.spent
        if self.tokens is not None and (after.tokens > self.tokens or _not_raised(self.tokens, self.stopped.tokens)):
            needs = f"{spent.tokens:,} used, the next call needs about {expected.tokens:,}"
            return f"the budget of {self.tokens:,} tokens is reached: {needs}", Stopped(tokens=self.tokens)
        if self.cost is not None and (after.cost > self.cost or _not_raised(self.cost, self.stopped.cost)):
            needs = f"{dollars(spent.cost)} used, the next call needs about {dollars(expected.cost)}"
            return f"the budget of {dollars(self.cost)} is reached: {needs}", Stopped(cost=self.cost)
        if self.run_budget is not None and self.run_budget.spent + expected.cost > self.run_budget.limit:
            needs = f"{dollars(self.run_budget.spent)} used, the next call needs about {dollars(expected.cost)}"
            return f"--max-cost {self.run_budget.limit:g} is reached: {needs}", None
        return None

    async def _add(self, amount: Amount) -> None:
        self.spent += amount
        if self.run_budget is not None:
            self.run_budget.spent += amount.cost
        if self.durable:
            await self.account.add(amount)


def _not_raised(now: float, stopped: float | None) -> bool:
    return stopped is not None and now <= stopped
