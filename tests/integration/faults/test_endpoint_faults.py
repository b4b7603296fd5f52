"""An endpoint that throttles, fails, hangs or cannot be reached: the exit code, the words, the calls, and a second run that completes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault, error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer

CONCURRENCY = 8
CANARY = 2
"""Requests at the start, at most: the one that goes ahead, and one that sets out between its answer and the end of the run."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running


def test_a_retry_after_of_2_is_one_pause_for_all_and_no_attempt(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("throttled", after=1))
    assert job.run(server.base_url, retry={"attempts": 1}) == 0
    assert job.is_whole()
    times = [request.at for request in server.requests]
    # Whatever was on its way with the refused one came at the same time; the next came after the pause.
    assert max(after - before for before, after in pairwise(times)) >= 2


@pytest.mark.parametrize("first", [0, 1], ids=["at the start", "later"])
@pytest.mark.parametrize(
    "refusal",
    [
        fault("quota", times=None),
        error(429, "Quota exceeded for EmbedContentRequestsPerDayPerProject", code="RESOURCE_EXHAUSTED", times=None),
    ],
    ids=["insufficient_quota", "per day"],
)
def test_a_used_up_quota_stops_with_75_and_says_billing_not_speed(job: Any, server: FakeServer, refusal: Any, first: int) -> None:
    server.faults.append(fault("quota", times=None, body=refusal.body, after=first))
    assert job.run(server.base_url) == 75
    assert "billing or quota, not speed" in job.said
    assert len(server.requests) <= (first + CONCURRENCY if first else CANARY)
    server.faults.clear()
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_retry_after_of_a_day_stops_with_75_and_says_when_to_come_back(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("wait_a_day"))
    assert job.run(server.base_url) == 75
    assert "24h 00m" in job.said
    assert len(server.requests) <= CANARY


@pytest.mark.parametrize("nonsense", ["nan", "-1", "1e400", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_a_retry_after_that_makes_no_sense_is_ignored(job: Any, server: FakeServer, nonsense: str) -> None:
    server.faults.append(fault("throttled", headers={"retry-after": nonsense}))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_server_that_fails_for_ever_ends_with_75_and_what_was_done_is_kept(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("crash", times=None, after=2))
    assert job.run(server.base_url, retry={"attempts": 1}, limits={"concurrency": 1}) == 75
    server.faults.clear()
    server.requests.clear()
    assert job.run(server.base_url) == 0
    assert job.is_whole()
    # Two batches had been answered: the canary's two texts, and what came next.
    assert len(server.sent_texts) < len(job.texts) - 2


@pytest.mark.parametrize("name", ["bad_gateway", "unavailable", "gateway_timeout"])
def test_a_gateways_page_once_is_tried_again(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_gateways_page_is_shown_as_status_and_words_without_markup_or_control(job: Any, server: FakeServer) -> None:
    page = b"<html><script>alert(1)</script><h1>Bad\x1b[2J Gateway</h1>" + b"x" * 500 + b"</html>"
    server.faults.append(fault("bad_gateway", body=page, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 75
    assert "answers 502: Bad" in job.said
    assert not {"\x1b", "<h1>", "alert", "x" * 300} & {part for part in ("\x1b", "<h1>", "alert", "x" * 300) if part in job.said}


@pytest.mark.parametrize(("number", "code"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 75)], ids=["no such name", "try again"])
def test_a_name_that_does_not_exist_is_a_mistake_and_one_that_cannot_be_asked_is_an_outage(
    job: Any, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    async def resolve(*_: Any, **__: Any) -> None:
        raise socket.gaierror(number, "the resolver's words")

    # Not the socket module's own: uvloop asks the system by itself.
    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    assert job.run("http://embeddings.example/v1") == code
    assert "cannot reach embeddings.example: the host name cannot be resolved: the resolver's words" in job.said


def test_an_address_where_nobody_listens_ends_with_75(job: Any, unused_port: int) -> None:
    assert job.run(f"http://127.0.0.1:{unused_port}/v1") == 75
    assert "the connection is refused" in job.said


@pytest.mark.parametrize("attempts", [4, 3])
def test_stated_attempts_hold_from_the_first_request_on(job: Any, server: FakeServer, attempts: int) -> None:
    server.faults.append(Fault(cut=-1, times=3))
    assert job.run(server.base_url, retry={"attempts": attempts}) == (0 if attempts > 3 else 75)
    assert job.is_whole() == (attempts > 3)
    assert attempts > 3 or len(server.requests) == attempts


def test_without_stated_attempts_a_server_that_is_not_reached_is_given_up_early(job: Any, server: FakeServer) -> None:
    server.faults.append(Fault(cut=-1, times=None))
    assert job.run(server.base_url) == 75
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", ["silent", "slow"])
def test_a_server_that_hangs_or_sends_a_byte_a_second_is_left_in_time_and_tried_again(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1))
    assert job.run(server.base_url, timeout="500ms") == 0
    assert job.is_whole()


@pytest.mark.parametrize("name", ["reset", "cut", "chunked_cut"])
def test_a_reply_that_breaks_off_is_no_row_and_is_tried_again(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1, times=2))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_length_larger_than_the_body_is_no_row(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("cut", after=1, headers={"content-length": "99999"}, cut=99_000))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


@pytest.mark.parametrize("location", ["https://elsewhere.invalid/v1", "http://127.0.0.1:9/v1/embeddings"], ids=["another host", "no https"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_named(job: Any, server: FakeServer, status: int, location: str) -> None:
    server.faults.append(fault("redirect", status=status, headers={"location": location}, times=None))
    assert job.run(server.base_url) == 1
    assert "which is not followed" in job.said
    assert len(server.requests) <= CANARY


@pytest.mark.parametrize(
    ("pem", "trusted", "reason"),
    [
        ("../self-signed.pem", False, "self-signed certificate"),
        ("expired.pem", True, "certificate has expired"),
        ("other-host.pem", True, "certificate is not valid for '127.0.0.1'"),
    ],
    ids=["self-signed", "expired", "another host"],
)
def test_a_certificate_that_is_refused_is_told_once_with_host_and_reason_and_no_bad_advice(
    job: Any, monkeypatch: pytest.MonkeyPatch, pem: str, trusted: bool, reason: str
) -> None:
    file = Path(__file__).parent / pem
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with FakeServer(tls=context).in_thread() as server:
        assert job.run(server.base_url) == 1
    assert reason in job.said
    assert "127.0.0.1" in job.said
    assert "verify" not in job.said.lower()
    assert server.requests == []


def test_connections_that_the_server_closes_between_requests_cost_nothing(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("hang_up", times=None))
    assert job.run(server.base_url, limits={"concurrency": 1}, retry={"attempts": 1}) == 0
    assert job.is_whole()
    assert job.summary["retries"] == 0
