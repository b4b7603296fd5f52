"""What is promised about ids that come twice."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place, UsageError
from asyncrun.readers.unique import Duplicates, Unique


def test_the_second_of_two_names_both_places() -> None:
    unique = Unique()
    assert unique.add("a", Place("x.jsonl", 1))
    assert unique.add("b", Place("y.jsonl", 2_000_000_000))
    assert unique.add("c", Place("docs/c.md"))
    with pytest.raises(UsageError) as caught:
        unique.add("b", Place("z.jsonl", 7, 3))
    assert str(caught.value) == "z.jsonl:7: the id 'b' is already that of y.jsonl:2000000000"
    with pytest.raises(UsageError, match=r"^other\.md: the id 'c' is already that of docs/c\.md$"):
        unique.add("c", Place("other.md"))


@given(ids=st.lists(st.sampled_from("abcd")), policy=st.sampled_from(["first", "last"]))
def test_one_of_each_is_kept_in_every_pass(ids: list[str], policy: Duplicates) -> None:
    unique = Unique(policy)
    new = [unique.add(item_id, Place("a", line)) for line, item_id in enumerate(ids, 1)]
    assert unique.duplicates == len(ids) - len(set(ids)) == new.count(False)
    for _ in range(2):
        keeps = unique.passage()
        kept = [position for position, item_id in enumerate(ids) if keeps(item_id)]
        wanted = {item_id: position for position, item_id in (enumerate(ids) if policy == "last" else reversed(list(enumerate(ids))))}
        assert kept == sorted(wanted.values())


def test_everything_is_kept_when_nothing_repeats() -> None:
    unique = Unique()
    unique.add("a", Place("a", 1))
    assert unique.passage()("a")


def test_a_million_ids_fit_into_150_megabytes() -> None:
    tracemalloc.start()
    try:
        unique, place = Unique(), Place("a.jsonl", 1)
        for number in range(100_000):
            unique.add(f"some-prefix/{number:030d}", place)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 15_000_000
