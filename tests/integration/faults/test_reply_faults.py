"""Replies that say 200 and are wrong, refusals of single texts, and replies that want to be too much: what is a row is right, always."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault, SeenRequest, error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer
from tests.depth import first

POISON = "text 9"


def has_poison(request: SeenRequest) -> bool:
    return POISON in request.texts


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running


def without_poison(job: Any) -> list[str]:
    return [text for text in job.texts if text != POISON]


def calls_for_one(count: int) -> int:
    """The most requests that bisection may need for one bad text of a batch."""
    return math.ceil(2 * math.log2(count) + 2)


BROKEN_JSON = ["truncated", "trailing_garbage", "html", "error_in_200"]


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_a_reply_that_is_no_answer_once_is_asked_for_again(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_a_text_whose_reply_is_never_an_answer_fails_alone_as_bad_response(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, when=has_poison, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 3
    assert job.failed == {"t9": "bad_response"}
    assert job.has_rows_of(without_poison(job))
    # Bisection, and the batches without the bad text.
    assert len(server.requests) <= calls_for_one(6) + 8


@pytest.mark.parametrize("name", ["byte_order_mark"])
def test_a_byte_order_mark_hides_no_wrong_row(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_another_content_type_on_the_right_answer_is_no_matter(job: Any, server: FakeServer) -> None:
    server.faults.append(Fault(headers={"content-type": "text/plain"}, times=None))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


@pytest.mark.parametrize("after", [0, 1], ids=["at the start", "later"])
@pytest.mark.parametrize("name", ["too_few", "too_many", "no_rows", "fused", "null_vectors"])
def test_replies_with_another_number_of_vectors_are_rejected_whole(job: Any, server: FakeServer, name: str, after: int) -> None:
    server.faults.append(fault(name, after=after, times=2))
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_server_that_fuses_texts_for_ever_never_gives_a_row_of_several(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("fused", when=lambda request: len(request.texts) > 1, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 0
    assert job.is_whole()


@pytest.mark.parametrize("name", ["shuffled", "no_index_0", "no_index"])
def test_unusual_indexes_that_are_certain_are_taken(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, times=None))
    assert job.run(server.base_url) == 0
    assert job.is_whole()
    assert job.summary["retries"] == 0


@pytest.mark.parametrize("name", ["same_index", "index_out_of_range"])
def test_indexes_that_are_twice_or_out_of_range_are_rejected(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, times=3))
    assert job.run(server.base_url) == 0
    assert job.is_whole()
    assert job.summary["retries"] > 0


def test_one_vector_of_another_size_is_asked_for_again_and_is_the_texts_failure_when_it_stays(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("short_vector", after=1))
    server.faults.append(fault("short_vector", when=lambda request: request.texts == [POISON], times=None))
    server.faults.append(fault("null_vectors", when=has_poison, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 3
    assert job.failed == {"t9": "bad_response"}
    assert "7 dimensions instead of 8" in job.said
    assert job.has_rows_of(without_poison(job))


def test_another_size_for_all_is_the_endpoints_mistake(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("other_dimensions", times=None, after=1))
    assert job.run(server.base_url) == 1
    assert "9 dimensions instead of 8" in job.said
    server.faults.clear()
    assert job.run(server.base_url) == 0
    assert job.is_whole()


def test_a_second_run_compares_with_the_first(job: Any, server: FakeServer) -> None:
    assert job.run(server.base_url) == 0
    job.texts.append("one more")
    server.dimensions = 9
    assert job.run(server.base_url) == 1
    assert "9" in job.said
    server.dimensions = 8
    assert job.run(server.base_url) == 0
    assert job.is_whole()


@pytest.mark.parametrize("name", ["null_vector", "null_number", "nan", "infinity", "too_large_number", "strings"])
def test_a_vector_that_is_none_fails_its_text_and_the_rest_is_kept(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, when=lambda request: request.texts == [POISON], times=None))
    server.faults.append(fault("null_vectors", when=has_poison, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 3
    assert job.failed == {"t9": "bad_response"}
    assert job.has_rows_of(without_poison(job))


def test_counts_of_tokens_that_no_request_can_have_are_not_believed(job: Any, server: FakeServer) -> None:
    usage = {"prompt_tokens": 2**62, "total_tokens": 2**62}
    server.faults.append(Fault(change=lambda document: {**document, "usage": usage}, times=None))
    assert job.run(server.base_url) == 0
    assert job.summary["tokens"] < 1000
    assert job.is_whole()


def test_a_vector_of_zeros_is_taken_and_told(job: Any, server: FakeServer) -> None:
    server.faults.append(fault("zeros", after=1))
    assert job.run(server.base_url) == 0
    assert "zero" in job.said


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model's maximum context length is 8192 tokens, however you requested 9001 tokens"),
        (500, "input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
        (422, "`inputs` must have less than 512 tokens. Given: 700"),
    ],
    ids=["openai", "llama.cpp", "tei"],
)
def test_one_text_of_96_that_is_too_long_fails_alone(job: Any, server: FakeServer, status: int, words: str) -> None:
    job.texts = [f"text {number}" for number in range(98)]
    server.faults.append(error(status, words, when=has_poison, times=None))
    assert job.run(server.base_url, batch={"max_items": 96}, space=None) == 3
    assert job.failed == {"t9": "too_long"}
    assert job.has_rows_of(without_poison(job))
    assert len(server.requests) <= 1 + calls_for_one(96) + 1


def test_a_text_that_is_named_costs_two_calls(job: Any) -> None:
    job.texts = [f"text {number}" for number in range(98)]
    job.texts[50] = "x" * 400
    with FakeServer(max_input_tokens=50).in_thread() as server:
        assert job.run(server.base_url, batch={"max_items": 96}, space=None) == 3
    assert job.failed == {"t50": "too_long"}
    assert server.batch_sizes[:1] == [2]
    assert len(server.requests) <= 4


@pytest.mark.parametrize(
    "refusal",
    [
        error(400, "Requested 453357 tokens, max 300000 tokens per request", kind="max_tokens_per_request", code="max_tokens_per_request"),
        error(400, "Too many tokens overall, split into more batches.", code="3210"),
        fault("too_large"),
    ],
    ids=["max_tokens_per_request", "3210", "413"],
)
def test_a_request_that_is_too_big_is_halved_and_later_ones_fit(job: Any, server: FakeServer, refusal: Fault) -> None:
    job.texts = [f"text {number:02}" for number in range(64)]
    too_big = Fault(status=refusal.status, body=refusal.body, when=lambda request: len(request.texts) > 8, times=None)
    server.faults.append(too_big)
    assert job.run(server.base_url, batch={"max_items": 32}, limits={"concurrency": 1}) == 0
    assert job.is_whole()
    refused = [size for size in server.batch_sizes if size > 8]
    assert len(refused) <= 3


@pytest.mark.parametrize("name", ["gzip_bomb", "stacked_encodings"])
def test_a_bomb_for_one_text_fails_that_text_alone(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, when=has_poison, times=None))
    assert job.run(server.base_url, retry={"attempts": 1}) == 3
    assert job.failed == {"t9": "bad_response"}
    assert job.has_rows_of(without_poison(job))


MEASURED = Path(__file__).resolve().parents[2] / "programs" / "measured_run.py"


@pytest.mark.parametrize("name", first(["gzip_bomb", "endless"]))
def test_a_bomb_and_a_reply_of_1_gb_leave_memory_bounded(job: Any, server: FakeServer, name: str) -> None:
    server.faults.append(fault(name, after=1))
    job.write(server.base_url)
    ran = subprocess.run([sys.executable, str(MEASURED)], cwd=job.folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert job.is_whole()
    # Kilobytes. 64 MiB are taken at most, and joined once; the program itself takes about a hundred.
    assert int(ran.stdout) < 300 * 1024
