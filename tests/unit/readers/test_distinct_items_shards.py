"""The shards of an input hold all of its items once, whatever the order, the ids and the policy for duplicates."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import UsageError
from asyncrun.grammar.shard import Shard
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import Item

ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"id": st.sampled_from("abcdef"), "text": st.sampled_from(["", "one", "two", "three", "four"])}),
        st.fixed_dictionaries({"text": st.text(max_size=3)}),
        st.just("no object"),
    ),
    min_size=1,
    max_size=12,
)


def passes(folder: Path, shard: Shard | None, **more: Any) -> list[list[tuple[str, int | None]]]:
    """Return the ids and lines of two passes over the input."""
    source = DistinctSource(ItemSource(folder, ("rows.jsonl",), **more), shard=shard)
    return [[(item.id, item.place.line) for item in source.items()] for _ in range(2)]


@given(ROWS, st.sampled_from(["first", "last"]), st.integers(1, 5))
def test_shards_hold_every_item_once_in_input_order(rows: list[Any], duplicates: Any, of: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [{"text": "there"}, *rows]), encoding="utf-8")
        whole = passes(folder, None, duplicates=duplicates)[0]
        parts = [passes(folder, Shard(number, of), duplicates=duplicates) for number in range(1, of + 1)]
    assert all(first == second for first, second in parts)
    assert sorted(row for part, _ in parts for row in part) == sorted(whole)
    for part, _ in parts:
        assert part == [row for row in whole if row in part]


def test_an_id_that_two_shards_would_share_is_a_mistake_in_each_of_them(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "a", "text": "three"}\n')
    for number in (1, 2):
        with pytest.raises(UsageError, match="the id 'a' is already that of"):
            passes(tmp_path, Shard(number, 2))


def test_what_an_input_lacks_is_said_of_all_of_it_not_of_a_shard(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "three", "lang": "en"}\n')
    for number in (1, 2):
        source = DistinctSource(ItemSource(tmp_path, ("rows.jsonl",), metadata=("lang",)), shard=Shard(number, 2))
        assert all(isinstance(item, Item) for item in source.items())
        assert source.missing == ()
