"""What is reserved, what is used, and what remains of a reservation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncrun.errors import BudgetError, OutageError
from asyncrun.jobs.budget import JobBudget, RunBudget
from asyncrun.ledger.job_records import Amount, SpendingAccount, Stopped
from asyncrun.ledger.ledger import Ledger
from asyncrun.usage import Usage


@pytest.fixture
def account(tmp_path: Path) -> Iterator[SpendingAccount]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield SpendingAccount(ledger, "jobs.yaml/n")
    ledger.close()


async def balance(account: SpendingAccount) -> tuple[Amount, Stopped]:
    return await asyncio.to_thread(account.balance)


@pytest.mark.asyncio
async def test_a_reservation_is_durable_before_the_call_and_corrected_after_it(account: SpendingAccount) -> None:
    budget = JobBudget(account, tokens=100)
    async with budget.reserve(Amount(40)) as reservation:
        assert (await balance(account))[0] == Amount(40)
        reservation.used(Usage(tokens=25))
    assert (await balance(account))[0] == Amount(25)


@pytest.mark.asyncio
async def test_what_no_server_has_counted_stays_as_it_was_expected(account: SpendingAccount) -> None:
    async with JobBudget(account, tokens=100).reserve(Amount(40)) as reservation:
        reservation.used(Usage(tokens=0))
    assert (await balance(account))[0] == Amount(40)


@pytest.mark.asyncio
async def test_an_answer_about_the_endpoint_frees_it_and_a_cancellation_does_not(account: SpendingAccount) -> None:
    budget = JobBudget(account, tokens=100)
    with pytest.raises(OutageError):
        async with budget.reserve(Amount(40)):
            raise OutageError("down")
    assert (await balance(account))[0] == Amount()
    with pytest.raises(asyncio.CancelledError):
        async with budget.reserve(Amount(40)):
            raise asyncio.CancelledError
    assert (await balance(account))[0] == Amount(40)


@pytest.mark.asyncio
async def test_the_limits_at_which_it_stopped_are_remembered_until_they_are_raised(account: SpendingAccount) -> None:
    with pytest.raises(BudgetError) as refused:
        async with JobBudget(account, tokens=100).reserve(Amount(101)):
            pass
    assert refused.value.exit_code == 4
    spent, stopped = await balance(account)
    assert (spent, stopped) == (Amount(), Stopped(tokens=100))
    with pytest.raises(BudgetError):
        async with JobBudget(account, tokens=100, spent=spent, stopped=stopped).reserve(Amount(1)):
            pass
    async with JobBudget(account, tokens=101, spent=spent, stopped=stopped).reserve(Amount(1)):
        pass


@pytest.mark.asyncio
async def test_jobs_share_the_budget_of_a_run_which_is_not_kept(account: SpendingAccount) -> None:
    run_budget = RunBudget(1.0)
    async with JobBudget(account, run_budget=run_budget).reserve(Amount(1, 0.75)) as reservation:
        reservation.used(Usage(tokens=1, cost=0.5))
    assert run_budget.spent == 0.5
    with pytest.raises(BudgetError, match="--max-cost"):
        async with JobBudget(account, run_budget=run_budget).reserve(Amount(1, 0.75)):
            pass
    assert (await balance(account)) == (Amount(), Stopped())


@pytest.mark.asyncio
async def test_raising_the_limit_that_was_reached_is_enough(account: SpendingAccount) -> None:
    with pytest.raises(BudgetError, match="100 tokens"):
        async with JobBudget(account, tokens=100, cost=1.0).reserve(Amount(101, 0.1)):
            pass
    _, stopped = await balance(account)
    async with JobBudget(account, tokens=200, cost=1.0, stopped=stopped).reserve(Amount(101, 0.1)):
        pass


@pytest.mark.asyncio
async def test_the_limit_of_a_run_does_not_stop_the_next_one(account: SpendingAccount) -> None:
    with pytest.raises(BudgetError, match="--max-cost"):
        async with JobBudget(account, tokens=100, run_budget=RunBudget(0.1)).reserve(Amount(10, 0.2)):
            pass
    assert (await balance(account))[1] == Stopped()
