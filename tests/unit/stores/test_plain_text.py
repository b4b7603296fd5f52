"""Any text can be carried by UTF-8, and comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.stores.plain_text import as_plain, from_plain


@given(st.text(st.characters(exclude_categories=[])) | st.sampled_from(["\x1a", '\x1a"a"', "a\x00b", "\ud800", "a\udcff", "\x1a\x1a"]))
def test_any_text_comes_back_and_is_utf8_without_nul(text):
    plain = as_plain(text)
    assert from_plain(plain) == text
    assert b"\x00" not in plain.encode("utf-8")
