"""What is promised about documents in every encoding, and about files read as UTF-8."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import ItemError
from asyncrun.readers.encodings import decode_document, utf8_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(text=TEXT, encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-7", "gb18030"]))
def test_a_text_comes_back_from_an_encoding_that_is_named(text: str, encoding: str) -> None:
    assert decode_document(text.encode(encoding), encoding).text == text.removeprefix("\ufeff" if encoding == "utf-8" else "")


@given(text=TEXT, encoding=st.sampled_from(["utf-8", "utf-16", "utf-32-le", "utf-7", "gb18030", "shift_jis", "iso2022_jp"]))
def test_a_stream_in_any_encoding_is_its_text_in_utf8(text: str, encoding: str) -> None:
    text = text.encode(encoding, "ignore").decode(encoding)
    assert utf8_of(io.BytesIO(text.encode(encoding)), encoding).read() == text.encode()


def test_sixteen_bits_without_a_mark_are_little_endian_for_both() -> None:
    assert utf8_of(io.BytesIO(b"a\0"), "utf-16").read() == b"a"
    assert decode_document(b"a\0", "utf-16").text == "a"


@given(data=st.binary(max_size=300), named=st.sampled_from([None, "utf-8", "ascii", "utf-16", "shift_jis"]))
def test_any_bytes_are_a_text_or_a_failure_that_says_why(data: bytes, named: str | None) -> None:
    try:
        text, guess = decode_document(data, named)
    except ItemError as error:
        assert error.reason == "bad_text"
        assert "not " in error.message
    else:
        text.encode()
        assert not (named and guess)


@given(data=st.binary(max_size=300), encoding=st.sampled_from(["utf-8", "ascii", "utf-16", "utf-32", "shift_jis", "utf-7", "hz"]))
def test_any_bytes_stream(data: bytes, encoding: str) -> None:
    with utf8_of(io.BytesIO(data), encoding) as file:
        assert b"".join(iter(lambda: file.readline(7), b"")) is not None


@pytest.mark.parametrize(("declared", "text"), [("iso8859-5", "Это текст"), ("klingon", "plain")])
def test_what_a_file_declares_comes_before_a_guess(declared: str, text: str) -> None:
    assert decode_document(text.encode("iso8859-5"), declared=declared) == (text, "")
