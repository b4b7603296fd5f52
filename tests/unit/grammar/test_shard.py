"""An input is divided into shards: every item is in exactly one, the same on every machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.grammar.shard import Shard, parse_shard
from asyncrun.records import BadItem, Item

COUNTS = st.integers(1, 9)


def shards(of: int) -> list[Shard]:
    return [Shard(number, of) for number in range(1, of + 1)]


@given(st.text(), st.text(), COUNTS)
def test_every_item_is_in_exactly_one_shard_and_equal_texts_are_in_the_same(text: str, name: str, of: int) -> None:
    item = Item(name, text, Place("a.jsonl", 1))
    owners = [shard for shard in shards(of) if shard.has(item)]
    assert len(owners) == 1
    assert owners[0].has(Item("another", text, Place("b.jsonl", 7)))


@given(st.text(), COUNTS)
def test_a_bad_record_is_in_exactly_one_shard(name: str, of: int) -> None:
    bad = BadItem(name, Place("a.jsonl", 3), "bad_record", "no JSON")
    assert sum(shard.has(bad) for shard in shards(of)) == 1


def test_which_shard_a_text_is_in_never_changes() -> None:
    numbers = [next(shard.number for shard in shards(4) if shard.has(Item("", text, Place("")))) for text in ("one", "two", "three", "é")]
    assert numbers == [3, 1, 4, 1]


def test_shards_are_about_equally_large() -> None:
    items = [Item(str(n), f"text {n}", Place("")) for n in range(4000)]
    sizes = [sum(map(shard.has, items)) for shard in shards(4)]
    assert min(sizes) > 900


@pytest.mark.parametrize("words", ["0/4", "5/4", "1/0", "4", "1/", "/4", "-1/4", "1/4/2", "a/b", "", "1.5/4", "٢/٤"])
def test_what_is_no_shard_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="shard"):
        parse_shard(words)
