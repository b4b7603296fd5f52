"""The pass over the input: what is ready, what must be sent, what stays failed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.jobs.scan import Scan, scan
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import BadItem, Item, ItemFailure, text_key

PLACE = Place("notes.jsonl", 1)


def scanned(
    *items: Item | BadItem, known: dict[str, KnownFailure] | None = None, skip: frozenset[str] = frozenset(), skip_empty: bool = False
) -> Scan:
    return scan(items, as_sent=lambda text: text, space="space", known=known or {}, skip=skip, skip_empty=skip_empty)


def index_of(*texts: str) -> KeyIndex:
    count = len(texts)
    return KeyIndex(keys_array(b"".join(map(text_key, texts))), np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int32))


def item(number: int, text: str) -> Item:
    return Item(str(number), text, PLACE)


@given(st.lists(st.sampled_from("abcde"), max_size=20), st.sets(st.sampled_from("abcde")))
def test_each_different_missing_text_is_sent_once_and_stands_for_all_its_items(texts: list[str], finished: set[str]) -> None:
    found = scanned(*(item(number, text) for number, text in enumerate(texts)))
    send, times = found.missing(index_of(*finished))
    sent = [text for text, flag in zip(texts, send.tolist(), strict=True) if flag]
    assert sorted(sent) == sorted(set(texts) - finished)
    assert {text: int(count) for text, count, flag in zip(texts, times, send, strict=True) if flag} == {
        text: texts.count(text) for text in sent
    }


def test_bad_and_empty_items_fail_and_are_not_sent() -> None:
    found = scanned(item(1, "good"), BadItem("2", PLACE, "bad_record", "not JSON"), item(3, " \n"))
    assert found.ready.tolist() == [True, False, False]
    assert [(known.failure.id, known.failure.reason) for known in found.failures] == [("2", "bad_record"), ("3", "empty")]


def test_empty_texts_can_be_skipped_and_ids_left_out() -> None:
    found = scanned(item(1, "good"), item(2, ""), item(3, "left out"), skip=frozenset({"3"}), skip_empty=True)
    assert found.skipped == 2
    assert found.failures == ()


def failed_before(text: str, reason: str, space: str = "space") -> dict[str, KnownFailure]:
    return {"1": KnownFailure(ItemFailure("1", PLACE, reason, "the server's words", 2), space, text_key(text))}


def test_what_failed_by_itself_stays_failed_until_its_text_changes() -> None:
    known = failed_before("poison", "refused")
    assert scanned(item(1, "poison"), known=known).ready.tolist() == [False]
    assert scanned(item(1, "harmless"), known=known).ready.tolist() == [True]


def test_what_failed_in_another_space_or_by_transport_is_sent_again() -> None:
    assert scanned(item(1, "poison"), known=failed_before("poison", "refused", space="other")).ready.tolist() == [True]
    assert scanned(item(1, "poison"), known=failed_before("poison", "server_error")).ready.tolist() == [True]


def test_the_digest_changes_with_text_id_metadata_and_order() -> None:
    one, two = item(1, "a"), item(2, "b")
    digests = [
        scanned(*items).digest
        for items in ([one, two], [two, one], [one], [one, item(3, "b")], [one, Item("2", "b", PLACE, {"year": 2024})], [one, item(2, "c")])
    ]
    assert len(set(digests)) == len(digests)
    assert scanned(one, two).digest == digests[0]
