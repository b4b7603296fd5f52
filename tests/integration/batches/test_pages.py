"""A list of batches is read to its end, however many pages it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.registry import BUILT_IN
from asyncrun.testing.batches import submitted

from .conftest import START, Rehearsal

TAGS = [f"{number}0123456789abcdefghi" for number in range(5)]
"""One more than two pages hold."""
BODY: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 9},
    "embeddings": {"model": "m", "input": ["one"]},
}


@pytest.mark.parametrize("provider", sorted(BUILT_IN["batches"]))
@pytest.mark.asyncio
async def test_every_page_of_a_list_is_read(rehearse: Callable[..., Rehearsal], monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    rehearsal, purpose = rehearse(), "embeddings" if provider == "voyage" else "chat"
    endpoint = rehearsal.endpoint(provider, purpose)
    monkeypatch.setattr(type(endpoint), "page_size", 2)
    made = [(await submitted(endpoint, [BODY[purpose]], tag)).id for tag in TAGS]
    listed = [batch.id async for batch in endpoint.batches()]
    assert sorted(listed) == sorted(made)
    assert len(await endpoint.find(TAGS[0], START, 1)) == (len(TAGS) if provider == "anthropic" else 1)


@pytest.mark.asyncio
async def test_a_list_that_leads_to_itself_has_ended(rehearse: Callable[..., Rehearsal], monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = rehearse().endpoint("openai")
    page = {"data": [{"id": "batch_1", "status": "completed"}], "has_more": True, "last_id": "batch_1"}

    async def ask(method: str, url: str) -> dict[str, Any]:
        return page

    monkeypatch.setattr(endpoint.exchange, "ask", ask)
    assert [batch.id async for batch in endpoint.batches()] == ["batch_1"] * 2
