"""Which documents an ingest job commits: new ones and changed ones; which it leaves alone, and which have gone."""

from __future__ import annotations

import hashlib

import orjson

from asyncrun.errors import Place
from asyncrun.jobs.ingest.documents import DocumentScan, MadeWith, document_mark, scan_documents
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.records import BadItem, Item, ItemFailure

PLACE = Place("a.md")
CUT = MadeWith("sentence 256 32", "", "a-space")


def item(doc_id: str, text: str = "text") -> Item:
    return Item(doc_id, text, PLACE)


def scanned(*items: Item | BadItem, stored: dict[str, str] | None = None, known: dict[str, KnownFailure] | None = None) -> DocumentScan:
    return scan_documents(items, stored=stored or {}, made_with=CUT, known=known or {}, skip=frozenset(), skip_empty=True)


def test_new_changed_and_unchanged_documents() -> None:
    stored = {"same": document_mark(item("same"), CUT), "changed": document_mark(item("changed", "former"), CUT)}
    found = scanned(item("same"), item("changed"), item("new"), stored=stored)
    assert (found.items, found.unchanged, found.new, set(found.marks)) == (3, 1, 1, {"changed", "new"})


def test_documents_that_left_the_input_are_gone_but_unreadable_ones_are_not() -> None:
    found = scanned(BadItem("unreadable", PLACE, "bad_text", "no UTF-8"), stored={"unreadable": "m", "left": "m"})
    assert found.gone == ("left",)
    assert [known.failure.id for known in found.failures] == ["unreadable"]


def test_metadata_and_the_way_of_cutting_are_part_of_the_mark() -> None:
    plain = item("a")
    marks = {
        document_mark(plain, CUT),
        document_mark(Item("a", "text", PLACE, {"year": 2024}), CUT),
        document_mark(plain, MadeWith("sentence 128 16", "", "a-space")),
        document_mark(plain, MadeWith("sentence 256 32", "passage: ", "a-space")),
        document_mark(plain, MadeWith("sentence 256 32", "", "another-space")),
        document_mark(plain, MadeWith("sentence 256 32", "", "a-space", refresh=1)),
        document_mark(item("a", "other"), CUT),
    }
    assert len(marks) == 7


def test_empty_documents_are_skipped_for_ingest() -> None:
    assert scanned(item("empty", " \n")).skipped == 1


def test_a_document_that_failed_by_itself_is_not_sent_again_until_it_changes() -> None:
    mark = document_mark(item("a"), CUT)
    known = {"a": KnownFailure(ItemFailure("a", PLACE, "refused", "no", 1), "", mark.encode())}
    assert not scanned(item("a"), known=known).marks
    assert scanned(item("a", "another text"), known=known).marks


def former_mark(doc_id: str, made_with: str) -> str:
    """As it was put in before a mark said what its document was made with."""
    content = orjson.dumps([item(doc_id).text, {}, made_with], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def test_a_mark_says_what_its_document_was_made_with() -> None:
    mark = document_mark(item("a"), CUT)
    assert CUT.made(mark)
    assert MadeWith("sentence 256 32", "", "a-space", refresh=1).made(mark)
    assert not MadeWith("sentence 128 16", "", "a-space").made(mark)


def test_documents_with_marks_of_a_former_version_are_unchanged() -> None:
    stored = {"same": former_mark("same", "sentence 256 32 a-space"), "cut": former_mark("cut", "sentence 128 16 a-space")}
    found = scanned(item("same"), item("cut"), stored=stored)
    assert (found.unchanged, set(found.marks)) == (1, {"cut"})
    assert all(map(CUT.made, stored.values()))


def test_a_document_that_failed_in_a_former_version_is_not_sent_again() -> None:
    key = former_mark("a", "sentence 256 32 a-space").encode()
    assert not scanned(item("a"), known={"a": KnownFailure(ItemFailure("a", PLACE, "refused", "no", 1), "", key)}).marks
