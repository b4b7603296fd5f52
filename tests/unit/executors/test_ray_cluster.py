"""What a person is told who names a Ray cluster that cannot be joined."""

from __future__ import annotations

import pytest

from asyncrun.errors import AsyncrunError, EndpointError, TryLaterError, UsageError
from asyncrun.executors.ray_cluster import join, refusal

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.41.0
    Python: 3.12.4
This process on 10.0.0.5 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "the command runs on a node of the cluster, and joins it"),
        ("local", "the command runs on a node of the cluster, and joins it"),
        ("head", "'head' is not the address of a Ray cluster"),
        ("head:http", "'head:http' is not the address of a Ray cluster"),
        (":6379", "':6379' is not the address of a Ray cluster"),
    ],
)
@pytest.mark.asyncio
async def test_an_address_that_cannot_be_meant_is_a_mistake(address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await join(address)


@pytest.mark.asyncio
async def test_a_wrong_address_of_the_environment_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(UsageError, match="RAY_ADDRESS: 'head' is not the address of a Ray cluster"):
        await join("auto")


def test_other_versions_are_told_with_both_sides() -> None:
    error = refusal(RuntimeError(MISMATCH), "10.0.0.1:6379")
    assert type(error) is EndpointError
    assert str(error) == "the cluster at 10.0.0.1:6379 runs Ray 2.41.0 on Python 3.12.4, this process Ray 2.60.0 on Python 3.11.7"


def test_anything_else_is_told_in_its_first_line() -> None:
    error: AsyncrunError = refusal(RuntimeError("The current node timed out.\nThis could happen because ..."), "10.0.0.1:6379")
    assert type(error) is TryLaterError
    assert str(error) == "the Ray cluster at 10.0.0.1:6379 cannot be joined: The current node timed out"
