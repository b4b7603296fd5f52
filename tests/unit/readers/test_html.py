"""What the reader of HTML promises: the main part of a page as Markdown, what the page says of itself, and no harm from any bytes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import ItemError
from asyncrun.readers.html import DEEPEST, MOST_TAGS, parse_html
from asyncrun.registry import load

PAGE = """<!doctype html><html lang="en"><head><title> A
 page </title><meta name=Description content="What it is"><meta property="article:published_time" content="2026-01-02">
<meta name=author content="Ada"><link rel=canonical href="https://x.example/a">
<style>p {}</style><script>var x = "<p>not this</p>"</script></head>
<body><header>The site</header><nav>Menu</nav><div>stray</div>{main}<footer>Imprint</footer></body></html>"""


def text_of(html: str) -> str:
    return str(parse_html(html.encode())["text"])


def test_a_page_says_what_it_is() -> None:
    assert parse_html(PAGE.replace("{main}", "<main><p>Text</main>").encode()) == {
        "text": "Text",
        "title": "A page",
        "lang": "en",
        "description": "What it is",
        "author": "Ada",
        "date": "2026-01-02",
        "canonical": "https://x.example/a",
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{}<main>Text</main>", "Text"),
        ("{}<div role=main>Text</div>", "Text"),
        ("{}<div id=main-content>Text</div>", "Text"),
        ("{}<article>One</article><p>between</p><article>Two <article>inner</article></article>", "One\n\nTwo\n\ninner"),
        ("<main><nav>in <nav>each</nav> other</nav><aside>x</aside><form>y</form>Text</main>", "Text"),
        ("<main> </main><article>Text</article>", "Text"),
        ("<header>Site</header>Text<footer>Imprint <nav>x</nav></footer><aside>x</aside>", "Text"),
        ("<form><p>All of it is a form</p></form>", "All of it is a form"),
        ("<form><main>A form around it</main></form>", "A form around it"),
        ("<nav>never closed <h1>Title</h1> Text", "never closed\n\n# Title\n\nText"),
        (
            "Text <span hidden>no</span><i aria-hidden=true>no</i><template>no</template><noscript>no</noscript><svg><text>no</text></svg>",
            "Text",
        ),
    ],
)
def test_the_main_part_is_read_and_what_stands_around_it_is_not(body: str, text: str) -> None:
    assert text_of(body.replace("{}", "<header>Site</header><nav>Menu</nav>")) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Title<a href='#t'>¶</a></h1><h3> Two\n<b>words</b></h3><p>x", "# Title\n\n### Two words\n\nx"),
        ("<p>One <b>bo</b>ld\n word<br>next<p>two", "One bold word\n\nnext\n\ntwo".replace("\n\nnext", "\nnext")),
        ("<ul><li>a<li><p>b</p><p>c</p><ul><li>deep</ul><li>d</ul>x", "- a\n- b\n  c\n  - deep\n- d\n\nx"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<dl><dt>term<dd>what it is</dl>", "term\nwhat it is"),
        ("<pre><code class='x language-python'>\nx = 1\n  y = `2`\n</code></pre>", "```python\nx = 1\n  y = `2`\n```"),
        ("<pre>```\nfence</pre>", "````\n```\nfence\n````"),
        ("<table><tr><th>k<th>v<tr><td>a|b<td>1 <i>2</i><br>3</table>x", "| k | v |\n| --- | --- |\n| a\\|b | 1 2 3 |\n\nx"),
        (
            "<table><tr><td><h2>A</h2>layout<td><table><tr><td>x<td>y<tr><td>1<td>2</table></table>",
            "## A\n\nlayout\n\n| x | y |\n| --- | --- |\n| 1 | 2 |",
        ),
        ("&lt;b&gt; &amp; &eacute;&#x4e2d;", "<b> & é中"),
        ("<p>مرحبا</p><p>日本</p>", "مرحبا\n\n日本"),
        ("", ""),
    ],
)  # fmt: skip
def test_elements_become_markdown(html: str, text: str) -> None:
    assert text_of(html) == text


GERMAN = "Die süßen Äpfel der Großmutter lagern über den Winter in großen Körben"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<meta charset=windows-1251><p>Привет".encode("cp1251"), "Привет"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"><p>日本語①'.encode("cp932"), "日本語①"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>café “x”</p></body></html>'.encode("cp1252"), "café “x”"),
        ("<meta charset=utf-16><p>déjà".encode(), "déjà"),
        ("<p>déjà".encode("utf-16"), "déjà"),
        ("<meta charset=klingon><p>déjà".encode(), "déjà"),
        (f"<p>{GERMAN}".encode("cp1252"), GERMAN),
    ],
)  # fmt: skip
def test_the_encoding_is_marked_declared_or_guessed(data: bytes, text: str) -> None:
    assert parse_html(data)["text"] == text


def test_elements_that_nest_deeper_than_anything_real_are_refused_before_they_cost_time() -> None:
    assert text_of("<div>" * 4000 + "deep") == "deep"
    assert text_of("<p>x<li>y<tr><td>z" * 10_000).count("z") == 10_000
    for tag in ("<div>", "<b>", "<x-y z=1>", "<TABLE>"):
        began = time.perf_counter()
        with pytest.raises(ItemError, match=f"its elements are nested 100,000 deep; at most {DEEPEST:,} are read"):
            parse_html((tag * 100_000).encode())
        assert time.perf_counter() - began < 2


def test_nothing_outside_is_looked_at() -> None:
    html = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY a "aaaa">]><p>&e;&a;<img src="http://127.0.0.1:1/x" alt=x>text'
    assert text_of(html).endswith("text")
    assert "root:" not in text_of(html)


@given(
    html=st.lists(
        st.sampled_from(
            [
                "<main>",
                "</main>",
                "<nav>",
                "</nav>",
                "<p>",
                "<ul>",
                "<li>",
                "</ul>",
                "<table>",
                "<tr>",
                "<td>",
                "</table>",
                "<pre>",
                "<h1>",
                "</h1>",
                "<b>",
                "x",
                "<!--",
                ">",
                "&lt;",
                "\n",
            ]
        )
    ).map("".join)
)
def test_any_tags_give_a_text(html: str) -> None:
    text = text_of(html)
    assert text == text.strip("\n")
    assert "\n\n\n" not in text or "```" in text


def test_a_file_is_read_in_a_process_of_its_own(tmp_path) -> None:
    (tmp_path / "a.html").write_text("<h1>Title</h1><p>Text")
    (record,) = load("readers", "html")(tmp_path / "a.html", "docs/a.html")
    assert (record.fields, str(record.place)) == ({"text": "# Title\n\nText"}, "docs/a.html")


def test_an_encoding_that_is_guessed_is_remarked(tmp_path) -> None:
    (tmp_path / "a.html").write_bytes(f"<p>{GERMAN}".encode("cp1252"))
    (record,) = load("readers", "html")(tmp_path / "a.html", "a.html")
    assert (record.fields, record.remark) == ({"text": GERMAN}, "that says no encoding, read as windows-1252 by a guess")


def test_more_tags_than_anything_real_has_are_refused_before_they_cost_time() -> None:
    began = time.monotonic()
    with pytest.raises(ItemError, match=f"it has 12,500,000 tags; at most {MOST_TAGS:,} are read"):
        parse_html(b"<p>a" * 12_500_000)
    assert time.monotonic() - began < 5


def test_the_encoding_that_is_named_wins_over_the_one_that_the_page_declares() -> None:
    page = '<meta charset="utf-8"><p>Fl\xfcsse</p>'.encode("windows-1252")
    assert parse_html(page, encoding="windows-1252")["text"] == "Fl\xfcsse"
    with pytest.raises(ItemError, match="not utf-8") as refused:
        parse_html(page, encoding="utf-8")
    assert refused.value.reason == "bad_text"
