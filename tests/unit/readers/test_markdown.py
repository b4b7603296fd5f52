"""What the reader of Markdown promises: front matter is what a file says of itself, and never part of its text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.readers.interface import Record
from asyncrun.readers.markdown import LONGEST_FRONT, read_markdown, split_front_matter


def read(folder: Path, data: bytes) -> Record:
    (folder / "a.md").write_bytes(data)
    (record,) = read_markdown(folder / "a.md", "a.md")
    assert isinstance(record, Record)
    return record


def test_front_matter_of_yaml_is_fields_and_no_text(tmp_path: Path) -> None:
    lines = ["---", "title: A house", "tags: [a, b]", "date: 2026-01-02", "at: 2026-01-02 03:04:05", "draft: no", "---", "# Text", ""]
    data = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    fields = {"title": "A house", "tags": ["a", "b"], "date": "2026-01-02", "at": "2026-01-02T03:04:05", "draft": False}
    record = read(tmp_path, data)
    assert record.fields == {**fields, "text": "# Text\r\n"}
    assert (record.remark, record.place.line) == ("", None)


def test_front_matter_of_toml_is_fields_and_no_text(tmp_path: Path) -> None:
    data = b'+++\ntitle = "A"\ndate = 2026-01-02\nat = 07:32:00\n[extra]\nn = 1\n+++\nText'
    assert read(tmp_path, data).fields == {"title": "A", "date": "2026-01-02", "at": "07:32:00", "extra": {"n": 1}, "text": "Text"}


@pytest.mark.parametrize(
    ("text", "kept", "fields"),
    [
        ("---\n---\nText", "Text", {}),
        ("---\ntitle: A\n...\nText", "Text", {"title": "A"}),
        ("---  \ntitle: A\n---\n", "", {"title": "A"}),
        ("---\ntitle: A\n---", "", {"title": "A"}),
        ("---\ntext: other\n---\nText", "Text", {"text": "other"}),
        ("---\n1: one\n2026-01-01: day\n---\n", "", {"1": "one", "2026-01-01": "day"}),
        ("---\nbig: 123456789012345678901234567890\nnone: .nan\n---\n", "", {"big": "123456789012345678901234567890", "none": "nan"}),
    ],
)
def test_the_fences_and_the_values(text: str, kept: str, fields: dict[str, Any]) -> None:
    assert split_front_matter(text) == (kept, fields, "")
    assert orjson.loads(orjson.dumps(fields)) == fields


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Title\n---\na: b\n---\n",
        "---\n\nA rule above.\n\n---\n",
        "---\nnever closed: true\n",
        "----\na: b\n----\n",
        "---\na: b\n+++\n",
        " ---\na: b\n---\n",
    ],
)
def test_what_is_no_front_matter_is_text(text: str) -> None:
    assert split_front_matter(text) == (text, {}, "")


@pytest.mark.parametrize(
    ("front", "language"),
    [
        ("---\ntitle: [a\n---\n", "YAML"),
        ("---\ntitle: a: b\n---\n", "YAML"),
        ("---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n", "YAML"),
        ("---\na: !!python/object/apply:os.system [id]\n---\n", "YAML"),
        ("---\na: " + "[" * 30_000 + "\n---\n", "YAML"),
        ("---\na: " + "[" * 200 + "]" * 200 + "\n---\n", "YAML"),
        ("+++\ntitle = \n+++\n", "TOML"),
        ("+++\na = " + "[" * 30_000 + "\n+++\n", "TOML"),
    ],
)
def test_what_cannot_be_read_or_would_do_harm_stays_in_the_text_and_is_told(front: str, language: str) -> None:
    began = time.perf_counter()
    assert split_front_matter(front + "Text") == (front + "Text", {}, f"with front matter that is no {language}, which stays in the text")
    assert time.perf_counter() - began < 2


def test_front_matter_has_a_bound() -> None:
    line = "key{}: a value of some length\n"
    small, large = ("---\n" + "".join(map(line.format, range(count))) + "---\nText" for count in (1000, LONGEST_FRONT // 10))
    assert len(split_front_matter(small).fields) == 1000
    assert split_front_matter(large) == (large, {}, "")


@given(text=st.text(st.sampled_from("-+.:\n\r ab[]{}&*!\"'\\u0dé"), max_size=60).map("---\n{}".format))
def test_any_text_gives_fields_that_are_json_and_a_text_that_was_its_end(text: str) -> None:
    kept, fields, remark = split_front_matter(text)
    assert text.endswith(kept)
    assert kept == text or not remark
    orjson.dumps(fields)
