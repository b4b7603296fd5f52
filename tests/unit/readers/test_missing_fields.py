"""Fields that a job names and no record has are found while the records pass."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.grammar.template import MISSING, parse_template, pick
from asyncrun.readers.missing_fields import FieldWatch

NAMES = st.sampled_from(["a", "b", "c", "a.b"])
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.just("x"), st.just({"b": 1}))), min_size=1)


def watched(text: str, id_: str, metadata: tuple[str, ...], *records: dict[str, object], line: int | None = 1) -> FieldWatch:
    watch = FieldWatch(parse_template(text), parse_template(id_), metadata)
    for record in records:
        watch.see(record, Place("rows.jsonl", line))
    return watch


@given(text=NAMES, metadata=st.lists(NAMES, unique=True), records=RECORDS)
def test_exactly_what_no_record_has_is_missing(text: str, metadata: list[str], records: list[dict[str, object]]) -> None:
    watch = watched(text, "id", tuple(metadata), *records)
    none_has = {name for name in (text, *metadata) if all(pick(record, name) is MISSING for record in records)}
    assert {field.name for field in watch.missing()} == none_has
    assert watch.satisfied is (not none_has)


def test_an_item_can_do_without_metadata_and_a_plain_id_but_not_without_its_text_or_the_parts_of_an_id() -> None:
    plain = watched("title", "key", ("lang",), {"x": 1})
    assert {(field.key, field.needed) for field in plain.missing()} == {("text", True), ("id", False), ("metadata", False)}
    assert [(field.name, field.needed) for field in watched("x", "{x}-{y}", (), {"x": 1}).missing()] == [("y", True)]


def test_the_usual_id_and_the_id_of_documents_need_not_be_there() -> None:
    assert not list(watched("x", "id", (), {"x": 1}).missing())
    assert not list(watched("x", "key", (), {"x": 1}, line=None).missing())


def test_no_record_lacks_nothing() -> None:
    assert not list(watched("x", "key", ("lang",)).missing())


def test_the_fields_that_there_are_are_named_and_cut() -> None:
    [field] = watched("txt", "id", (), {"text": 1, "\x1b[2J": 2, "z" * 500: 3}).missing()
    assert str(field).startswith("no item has `txt` (input.text); the fields are text, \\x1b[2J, zzz")
    assert str(field).endswith("did you mean 'text'?")
    assert len(str(field)) < 200
    [field] = watched("x", "id", (), {f"column{number}": 1 for number in range(3000)}).missing()
    assert str(field).endswith(", column19 and 2,980 more")
    error = field.error()
    assert (str(error.place), error.exit_code) == ("rows.jsonl", 2)
