"""Who may ask the server: its own names and addresses in numbers, with a token as soon as others can reach it."""

from __future__ import annotations

import pytest

from asyncrun.web.access import Access, choose_access
from asyncrun.web.messages import WebRequest


def ask(path: str = "/", host: str = "127.0.0.1:8787", method: str = "GET") -> WebRequest:
    return WebRequest(method, path, {"host": host})


def status(access: Access, request: WebRequest) -> int | None:
    refusal = access.refusal(request)
    return refusal.status if refusal else None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example", "", "::1:8787"])
def test_a_name_that_could_be_made_to_lead_here_is_refused(host: str) -> None:
    assert status(Access(), ask(host=host)) == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8787", "192.168.0.7:8787"])
def test_the_own_name_and_addresses_in_numbers_are_let_in(host: str) -> None:
    assert status(Access(), ask(host=host)) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_only_looking_is_possible(method: str) -> None:
    assert status(Access(), ask(method=method)) == 405


@pytest.mark.parametrize("path", ["/", "/runs.json", "/s3cre/", "/s3cret", "/S3CRET/", "/s3cret2/", "//s3cret/", "/%733cret/"])
def test_without_the_token_there_is_nothing(path: str) -> None:
    assert status(Access(token="s3cret"), ask(path)) == 404


def test_with_the_token_everything_is_there() -> None:
    assert status(Access(token="s3cret"), ask("/s3cret/runs.json?page=2")) is None


@pytest.mark.parametrize(
    ("host", "addresses", "base"),
    [
        ("127.0.0.1", ["127.0.0.1"], "/"),
        ("localhost", ["127.0.0.1", "::1"], "/"),
        ("0.0.0.0", ["0.0.0.0"], "/t/"),
        ("build-box", ["127.0.1.1", "10.0.0.5"], "/t/"),
        ("fe80::1", ["fe80::1%eth0"], "/t/"),
    ],
)
def test_who_can_be_reached_from_elsewhere_has_a_token(host: str, addresses: list[str], base: str) -> None:
    access = choose_access(host, addresses, "t")
    assert access.base == base
    assert access.knows(f"{host}:8787") or ":" in host
