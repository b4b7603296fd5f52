"""Every id once, at every pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asyncrun.errors import UsageError
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource

INLINE = ({"id": "a", "text": "first"}, {"id": "b", "text": "only"}, {"id": "a", "text": "last"})


def source(**more: Any) -> DistinctSource:
    return DistinctSource(ItemSource(Path(), inline=more.pop("inline", INLINE), **more))


def texts(made: DistinctSource) -> list[str]:
    return [getattr(item, "text", "") for item in made.items()]


def test_a_repeated_id_is_a_mistake_that_names_both_places() -> None:
    with pytest.raises(UsageError, match=r"items:3: the id 'a' is already that of items:1"):
        texts(source())


@pytest.mark.parametrize(("policy", "kept"), [("first", ["first", "only"]), ("last", ["only", "last"])])
def test_one_of_a_repeated_id_is_kept_at_every_pass(policy: str, kept: list[str]) -> None:
    made = source(duplicates=policy)
    assert texts(made) == texts(made) == kept


def test_items_without_an_id_are_counted_once() -> None:
    made = source(inline=("one", "two", {"id": "x", "text": "three"}))
    assert texts(made) == texts(made) == ["one", "two", "three"]
    assert made.unnamed == 2
