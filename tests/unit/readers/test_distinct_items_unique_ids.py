"""What is promised about ids that come twice."""

import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place, UsageError
from asyncrun.readers.distinct_items import UniqueIds
from asyncrun.readers.item_source import Duplicates
from asyncrun.records import BadItem, Item


def settled(items: Sequence[Item | BadItem], policy: Duplicates = "fail") -> UniqueIds:
    unique = UniqueIds(policy)
    for item in items:
        unique.add(item.id)
    unique.settle(lambda: items)
    return unique


def item(name: str, file: str = "a.jsonl", line: int | None = 1) -> Item:
    return Item(name, "text", Place(file, line))


def test_the_second_of_two_names_both_places() -> None:
    items = [item("a", "x.jsonl"), item("b", "y.jsonl", 2_000_000_000), item("c"), BadItem("b", Place("z.jsonl", 7, 3), "bad_record", "")]
    with pytest.raises(UsageError) as caught:
        settled(items)
    assert str(caught.value) == "z.jsonl:7: the id 'b' is already that of y.jsonl:2000000000"
    with pytest.raises(UsageError, match=r"^other\.md: the id 'c' is already that of docs/c\.md$"):
        settled([item("c", "docs/c.md", None), item("c", "other.md", None)])


def test_an_id_that_comes_twice_is_not_shown_without_end() -> None:
    with pytest.raises(UsageError, match="the id 'nnn") as caught:
        settled([item("n" * 2_000_000), item("n" * 2_000_000, line=2)])
    assert len(str(caught.value)) < 300


@given(ids=st.lists(st.sampled_from("abcd")), policy=st.sampled_from(["first", "last"]))
def test_one_of_each_is_kept_in_every_pass(ids: list[str], policy: Duplicates) -> None:
    unique = settled([item(name, line=line) for line, name in enumerate(ids, 1)], policy)
    for _ in range(2):
        keeps = unique.new_pass()
        kept = [position for position, item_id in enumerate(ids) if keeps(item_id)]
        wanted = {item_id: position for position, item_id in (enumerate(ids) if policy == "last" else reversed(list(enumerate(ids))))}
        assert kept == sorted(wanted.values())


def test_the_items_are_not_asked_for_again_when_nothing_repeats() -> None:
    def again() -> Iterable[Item]:
        raise AssertionError

    unique = UniqueIds()
    unique.add("a")
    unique.settle(again)
    assert unique.new_pass()("a")


def test_a_million_ids_fit_into_20_megabytes() -> None:
    tracemalloc.start()
    try:
        unique = UniqueIds()
        for number in range(100_000):
            unique.add(f"some-prefix/{number:030d}")
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2_000_000
