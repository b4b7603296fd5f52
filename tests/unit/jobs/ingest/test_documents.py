"""Which documents an ingest job commits: new ones and changed ones; which it leaves alone, and which have gone."""

from __future__ import annotations

from asyncrun.errors import Place
from asyncrun.jobs.ingest.documents import DocumentScan, document_mark, scan_documents
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.records import BadItem, Item, ItemFailure

PLACE = Place("a.md")
CUT = "sentence 256 32"


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
        document_mark(plain, "sentence 128 16"),
        document_mark(item("a", "other"), CUT),
    }
    assert len(marks) == 4


def test_empty_documents_are_skipped_for_ingest() -> None:
    assert scanned(item("empty", " \n")).skipped == 1


def test_a_document_that_failed_by_itself_is_not_sent_again_until_it_changes() -> None:
    mark = document_mark(item("a"), CUT)
    known = {"a": KnownFailure(ItemFailure("a", PLACE, "refused", "no", 1), "", mark.encode())}
    assert not scanned(item("a"), known=known).marks
    assert scanned(item("a", "another text"), known=known).marks
