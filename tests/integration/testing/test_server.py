"""The fake server answers as the real ones do, does wrong exactly what it is told to, and can be had from every kind of code."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from asyncrun.testing.faults import Fault, error, parse_fault
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of


def post(base_url, document, key=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{base_url}/embeddings", json.dumps(document).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def test_it_answers_in_the_shape_of_openai():
    with FakeServer(dimensions=3).in_thread() as server:
        status, document = post(server.base_url, {"model": "m", "input": ["a", "b"]})
    assert status == 200
    assert [row["index"] for row in document["data"]] == [0, 1]
    assert document["data"][1]["embedding"] == pytest.approx(vector_of("b", 3).tolist())
    assert (document["model"], document["usage"]) == ("m", {"prompt_tokens": 2, "total_tokens": 2})
    assert server.sent_texts == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({"input": ["a", ""]}, 400, "input[1]"),
        ({"input": ["a" * 400]}, 400, "maximum input length is 10 tokens"),
        ({"input": ["a"] * 9}, 400, "at most 8"),
        ({"input": ["a" * 40] * 4}, 400, "max 30 tokens per request"),
        ({}, 400, "input"),
    ],
)
def test_it_refuses_what_real_ones_refuse(document, status, words):
    with FakeServer(max_items=8, max_input_tokens=10, max_request_tokens=30).in_thread() as server:
        found, refusal = post(server.base_url, document)
    assert found == status
    assert words in refusal["error"]["message"]


def test_it_demands_its_key_and_repeats_what_it_was_given():
    with FakeServer(key="right").in_thread() as server:
        assert post(server.base_url, {"input": "a"}, "right")[0] == 200
        status, refusal = post(server.base_url, {"input": "a"}, "wrong")
    assert status == 401
    assert "wrong" in refusal["error"]["message"]


def test_faults_hit_the_requests_they_choose_as_often_as_they_say():
    faults = [error(400, "no", when=lambda request: "bad" in request.texts, times=None), Fault(status=500, body=b"{}", after=1, times=2)]
    with FakeServer(faults=faults).in_thread() as server:
        seen = [post(server.base_url, {"input": text})[0] for text in ("good", "bad", "good", "good", "good", "bad")]
    assert seen == [200, 400, 500, 500, 200, 400]


@pytest.mark.asyncio
async def test_it_ends_while_requests_are_open():
    async with FakeServer(faults=[Fault(delay=60)]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0]))
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        while not server.requests:
            await asyncio.sleep(0.01)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def test_as_a_command_it_prints_its_address_and_takes_faults():
    fault = json.dumps({"status": 429, "headers": {"retry-after": "2"}, "body": {"error": "slow"}, "text": "bad", "times": None})
    command = [sys.executable, "-m", "asyncrun.testing.server", "--port", "0", "--dimensions", "4", "--fault", fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base_url = process.stdout.readline().strip()
        good, bad = post(base_url, {"input": "good"}), post(base_url, {"input": "bad"})
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert len(good[1]["data"][0]["embedding"]) == 4
    assert bad == (429, {"error": "slow"})


@pytest.mark.parametrize("text", ["[]", "{", '{"statsu": 500}'])
def test_what_is_no_fault_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        parse_fault(text)
