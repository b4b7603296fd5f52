"""Failed items are counted by what was wrong with them, however many there are."""

from __future__ import annotations

from asyncrun.errors import Place
from asyncrun.failure_groups import MOST_SORTS, FailureGroup, FailureGroups
from asyncrun.records import ItemFailure


def failed(message: str, reason: str = "refused", number: int = 1) -> ItemFailure:
    return ItemFailure(f"n{number}", Place("notes.jsonl", number), reason, message)


def test_numbers_and_ids_of_requests_make_no_other_sort() -> None:
    groups = FailureGroups()
    for number, request in enumerate(("req_8f3a11c2", "req_b71d99aa", "3fa85f64-5717-4562-b3fc-2c963f66afa6"), 1):
        groups.add(failed(f"9,30{number} tokens at input[{number}] ({request.split('-')[0]})", number=number))
    assert [(group.count, group.first.id) for group in groups.largest_first()] == [(3, "n1")]


def test_what_other_fields_a_record_has_makes_no_other_sort() -> None:
    groups = FailureGroups(failed(f"no field 'text'; known: id, {name}", "bad_record") for name in ("body", "title", "lang"))
    assert [(group.count, group.first.message) for group in groups.largest_first()] == [(3, "no field 'text'; known: id, body")]


def test_another_field_or_another_reason_is_another_sort() -> None:
    groups = FailureGroups([failed("no field 'title'"), failed("no field 'text'"), failed("no field 'title'", "bad_record")])
    assert [group.count for group in groups.largest_first()] == [1, 1, 1]


def test_the_most_frequent_sort_comes_first_and_equal_ones_as_they_came() -> None:
    groups = FailureGroups([failed("a"), failed("b"), failed("c"), failed("c")])
    assert [group.first.message for group in groups.largest_first()] == ["c", "a", "b"]
    assert [group.first.message for group in groups.in_order()] == ["a", "b", "c"]


def test_a_hundred_thousand_failures_of_three_thousand_sorts_stay_small_and_none_is_lost() -> None:
    groups = FailureGroups()
    for number in range(100_000):
        sort = number % 3000
        groups.add(failed(f"sort {chr(0x4E00 + sort)}", "refused" if sort % 2 else "odd", number))
    found = groups.largest_first()
    assert sum(group.count for group in found) == 100_000
    assert len(found) == MOST_SORTS + 2
    assert [(group.alike, group.first.reason) for group in found[:2]] == [(False, "odd"), (False, "refused")]


def test_what_was_counted_elsewhere_is_taken_as_it_is() -> None:
    groups = FailureGroups([failed("a", number=1)])
    groups.add_all([FailureGroup(5, failed("a", number=9)), FailureGroup(7, failed("b"), alike=False)])
    assert [(group.count, group.first.id, group.alike) for group in groups.largest_first()] == [(7, "n1", False), (6, "n1", True)]
