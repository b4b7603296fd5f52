"""A key that a server's page repeats, in whatever way it is written there, shows no eight characters of itself in what is said of it."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.replies import RequestError, read_reply
from asyncrun.http_replies import Reply
from asyncrun.redact import Redactor
from asyncrun.testing.clock import FakeClock

PRINTABLE = "".join(map(chr, range(33, 127)))
ALPHABETS = (string.ascii_lowercase, string.ascii_letters + string.digits, string.hexdigits, PRINTABLE, string.ascii_letters + "-_/+=")
KEYS = st.sampled_from(ALPHABETS).flatmap(lambda alphabet: st.text(alphabet, min_size=16, max_size=64))
EDGES = (200, 1_000, 2_000, 4_000, 100_000, 102_000, 2**18)
"""Lengths at which something may be cut."""


def every(write: Callable[[str], str], share: float = 1.0) -> Callable[[str, random.Random], str]:
    """Write so many of the characters in a way of their own."""
    return lambda key, rng: "".join(write(each) if rng.random() < share else each for each in key)


def split(*marks: str) -> Callable[[str, random.Random], str]:
    """Put something between the characters, here and there."""
    return lambda key, rng: "".join(each + (rng.choice(marks) if rng.random() < 0.3 else "") for each in key)


def wrapped(text: str) -> str:
    return "\r\n".join(re.findall(".{1,20}", text))


def in_base64(key: str, rng: random.Random) -> str:
    before, after = "".join(rng.choices(string.ascii_lowercase, k=rng.randrange(7))), "x" * rng.randrange(3)
    return base64.b64encode(f"{before}{key}{after}".encode()).decode()


WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "as it is": lambda key, _: key,
    "in JSON": lambda key, _: json.dumps(key),
    "in JSON within JSON": lambda key, _: json.dumps(json.dumps({"key": key})),
    "in JSON, slashes too": lambda key, _: json.dumps(key).replace("/", "\\/"),
    "in JSON, all of it": every(lambda each: f"\\u{ord(each):04x}"),
    "in JSON, parts of it": every(lambda each: f"\\u{ord(each):04X}", 0.4),
    "in a program": every(lambda each: f"\\x{ord(each):02x}", 0.8),
    "in an address": lambda key, _: quote(key, safe=""),
    "in an address, all of it": every(lambda each: f"%{ord(each):02x}"),
    "in an address, parts of it": lambda key, rng: every(lambda each: f"%{ord(each):02X}", 0.5)(key.replace("%", "%25"), rng),
    "in an address, twice": every(lambda each: f"%25{ord(each):02X}"),
    "in HTML": lambda key, _: html.escape(key),
    "in HTML, all of it": every(lambda each: f"&#{ord(each)};"),
    "in HTML, parts of it": lambda key, rng: "".join(
        f"&#x{ord(each):x};" if rng.random() < 0.5 or each == "&" else html.escape(each) for each in key
    ),
    "in HTML, with zeros before": every(lambda each: f"&#x{ord(each):07x};"),
    "in HTML, with zeros before decimal digits": every(lambda each: f"&#{ord(each):010};"),
    "in base64": in_base64,
    "in base64 for addresses": lambda key, rng: in_base64(key, rng).replace("+", "-").replace("/", "_"),
    "in base64 on lines": lambda key, rng: wrapped(in_base64(key, rng)),
    "in base64, in an address": lambda key, rng: quote(in_base64(key, rng), safe=""),
    "in hexadecimal digits": lambda key, _: key.encode().hex(),
    "in large hexadecimal digits": lambda key, _: key.encode().hex().upper(),
    "over lines": split("\n", "\r\n", "\t", " ", "  \n"),
    "with what is not seen": split("\u200b", "\u00ad", "\ufeff", "\u2060", "\x00", "\x1b", "\x7f", "\u202e"),
    "with tags": lambda key, rng: split("<b>", "</b>", "<br/>", "<wbr>\n", "<!-- x -->")(html.escape(key), rng),
    "with tags that hide something": lambda key, rng: split("<script>var a = '<b>';</script>", "<style>p{}</style>")(html.escape(key), rng),
    "with tags in JSON": lambda key, rng: json.dumps(split("<b>", "</b>")(html.escape(key), rng)).replace("<", "\\u003c"),
}
FILLERS = ("", "lorem ipsum dolor ", "<p class='a'></p>\n", "%20", "&nbsp;", "\\n", "<", "&", "{", "\u00e9")
PAGES: dict[str, Callable[[str, str, str], str]] = {
    "text": lambda before, key, after: f"{before}{key}{after}",
    "HTML": lambda before, key, after: f"<html><head><title>502</title></head><body>{before}<h1>{key}</h1>{after}</body></html>",
    "JSON": lambda before, key, after: json.dumps({"error": {"message": f"{before}{key}{after}", "type": "x"}}),
    "raw JSON": lambda before, key, after: json.dumps({"error": {"message": before + "§" + after}}).replace("§", key),
}


def endpoint_of(key: str) -> Endpoint:
    return Endpoint("http://host/v1", {"authorization": f"Bearer {key}"}, {"clock": FakeClock(), "rng": random.Random(1)})


def said_of(endpoint: Endpoint, reply: Reply) -> str:
    """Return all that is said of a refused request, also by the errors that led to it."""
    with pytest.raises(RequestError) as caught:
        read_reply(endpoint, reply)
    return str(caught.value)


def pieces(text: str) -> set[str]:
    return {text[at : at + 8] for at in range(len(text) - 7)}


def readings(text: str) -> Iterator[str]:
    """Yield what somebody may read in a text, by other means than the redactor's."""
    for escaped in (text, re.sub(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})", lambda code: chr(int(code[1] or code[2], 16)), text)):
        for found in (escaped, unquote(escaped), html.unescape(escaped), unquote(unquote(escaped))):
            yield found
            yield "".join(re.sub("<[^<>]*>|[\u200b\u00ad\ufeff\u2060\x00\x1b\x7f\u202e]", "", found).split())


def shown_of(key: str, written: str, text: str) -> set[str]:
    """Return the pieces of a key, and of the way in which it was written, that a text shows."""
    secret = "".join(key.split())
    # Of a base64 the first characters and the last ones are those of what stands beside the key; what splits a key is none of it.
    bare = re.sub("(=|%3D)+$", "", written)[2:-3]
    codes = pieces(bare) if re.fullmatch(r"[\w+/=%\\&#;-]+", bare) else set()
    return {piece for found in readings(text) for piece in pieces(secret) if piece in found} | {piece for piece in codes if piece in text}


@given(
    key=KEYS,
    way=st.sampled_from(sorted(WAYS)),
    page=st.sampled_from(sorted(PAGES)),
    filler=st.sampled_from(FILLERS),
    length=st.one_of(st.integers(0, 400), st.builds(lambda edge, off: max(edge - off, 0), st.sampled_from(EDGES), st.integers(-20, 500))),
    after=st.integers(0, 3000),
    status=st.sampled_from([200, 400, 401, 404, 429, 500]),
    seed=st.integers(0, 2**16),
)
@example("ab3" * 10, "as it is", "text", "<p class='a'></p>\n", 19_990, 100, 502, 0)
@example("ab3" * 10, "in an address, all of it", "text", "<p class='a'></p>\n", 2**18 - 20, 3000, 502, 0)
@example("ab3" * 10, "in HTML, all of it", "HTML", "lorem ipsum dolor ", 180, 100, 502, 0)
def test_a_key_in_a_page_of_any_length_shows_no_eight_characters_of_itself(
    key: str, way: str, page: str, filler: str, length: int, after: int, status: int, seed: int
) -> None:
    written = WAYS[way](key, random.Random(seed))
    page = "HTML" if status == 200 else page  # another one might be an answer
    before = (filler * (length // len(filler) + 1))[:length] if filler else ""
    body = PAGES[page](before, written, "x" * after).encode("utf-8", "surrogatepass")
    said = said_of(endpoint_of(key), Reply(status, {}, body))
    assert shown_of(key, written, said) == set()


@given(
    key=KEYS, way=st.sampled_from(sorted(WAYS)), around=st.tuples(st.text(max_size=40), st.text(max_size=40)), seed=st.integers(0, 2**16)
)
def test_a_key_in_any_text_shows_no_eight_characters_of_itself(key: str, way: str, around: tuple[str, str], seed: int) -> None:
    written = WAYS[way](key, random.Random(seed))
    text = Redactor([key]).redact(written.join(around))
    assert shown_of(key, written, text) - shown_of(key, written, "".join(around)) == set()


@given(key=KEYS, most=st.integers(0, 300), before=st.integers(0, 300))
def test_the_beginning_of_a_text_ends_in_no_half_of_a_key(key: str, most: int, before: int) -> None:
    text = f"{'- ' * before}{key}{' x' * 2000}"
    assert shown_of(key, key, Redactor([key]).beginning(text, most)[:most]) == set()


@pytest.mark.parametrize("cut", range(8, 32))
def test_a_part_of_a_key_is_masked_too(cut: int) -> None:
    key = "sk-1aB2cD3eF4gH5iJ6kL7mN8oP9qR0s"
    assert Redactor([key]).redact(f"refused: {key[:cut]}... and ...{key[-cut:]}") == "refused: ***... and ...***"


@pytest.mark.parametrize(
    "header", ["application/json; charset=utf-8", "Mozilla/5.0 (compatible; asyncrun)", "https://example.com/v1/embeddings", "team-search"]
)
@pytest.mark.parametrize(
    "text",
    [
        "the application answers 503: no healthy upstream",
        "https://example.org/v1/embeddings is not found",
        "compatible with version 5.0 of the searching team",
        "it is 100% certain that &amp; is no key, and 3 < 4 > 2 isn't one either: %41%42",
        "id 0123456789abcdef, 550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_ordinary_text_stays_as_it_is(header: str, text: str) -> None:
    assert Redactor([header, "Bearer sk-1aB2cD3eF4gH5iJ6", "correct horse battery staple"]).redact(text) == text


def test_places_of_one_model_hide_the_keys_of_each_other() -> None:
    first, second = ("sk-first-0123456789abcdef", "sk-second-0123456789abcdef")
    reply = Reply(400, {}, f"{'x' * 170} {quote(second)} {base64.b64encode(second.encode()).decode()}".encode())
    one, other = endpoint_of(first), endpoint_of(second)
    one.hide(other.secrets)
    assert shown_of(second, second, said_of(one, reply)) == set()


@pytest.mark.parametrize("address", ["http://me:{}@host/v1", "http://{}@host/v1", "http://{}:@host/v1"])
@given(key=st.text(string.ascii_letters + string.digits + "-_", min_size=16, max_size=40))
def test_a_key_in_an_address_is_known_as_well(address: str, key: str) -> None:
    written = base64.b64encode(f"me:{key}".encode()).decode()
    endpoint = Endpoint(address.format(key), {}, {"clock": FakeClock(), "rng": random.Random(1)})
    reply = Reply(400, {}, f"{key} or {written}".encode())
    assert shown_of(key, written, said_of(endpoint, reply)) == set()
