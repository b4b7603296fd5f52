"""The fake server answers as the real ones do, does wrong exactly what it is told to, and can be had from every kind of code."""

import asyncio
import contextlib
import gc
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.embedders.interface import BatchLimits
from asyncrun.testing.__main__ import build_parser, main
from asyncrun.testing.batch_servers import BATCH_FAULTS
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.named import FAULTS, fault, parse_fault
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of


def post(base_url, document, key=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{base_url}/embeddings", json.dumps(document).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def port_of(server):
    return int(server.base_url.rsplit(":", 1)[1].split("/")[0])


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
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        while not server.requests:
            await asyncio.sleep(0.01)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def test_as_a_command_it_prints_its_address_and_takes_faults():
    fault = json.dumps({"status": 429, "headers": {"retry-after": "2"}, "body": {"error": "slow"}, "text": "bad", "times": None})
    command = [sys.executable, "-m", "asyncrun.testing", "--port", "0", "--dimensions", "4", "--fault", fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base_url = process.stdout.readline().strip()
        good, bad = post(base_url, {"input": "good"}), post(base_url, {"input": "bad"})
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert len(good[1]["data"][0]["embedding"]) == 4
    assert bad == (429, {"error": "slow"})


def test_within_a_window_it_takes_what_its_quota_says_and_then_tells_how_long_to_wait():
    with FakeServer(quota=Quota(requests=2, seconds=60)).in_thread() as server:
        seen = [post(server.base_url, {"input": "a"})[0] for _ in range(3)]
        request = urllib.request.Request(f"{server.base_url}/embeddings", b'{"input": "a"}')
        with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=60):
            pass
        with caught.value as refusal:
            headers = dict(refusal.headers)
    assert seen == [200, 200, 429]
    assert 0 < float(headers["retry-after-ms"]) <= 60_000
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_what_is_larger_than_its_quota_by_itself_is_told_so():
    with FakeServer(quota=Quota(tokens=3)).in_thread() as server:
        status, refusal = post(server.base_url, {"input": "x" * 16})
    assert status == 429
    assert "Request too large" in refusal["error"]["message"]


@pytest.mark.asyncio
@pytest.mark.parametrize("told", [True, False], ids=["told", "silent"])
async def test_a_job_gets_through_a_quota_that_it_does_not_know(told):
    texts = [f"text {number}" for number in range(60)]
    quota = Quota(requests=8, tokens=300, inputs=40, seconds=0.5, told=told)
    async with FakeServer(quota=quota) as server:
        batch, retry = BatchLimits(max_items=4), RetryPolicy(base=0.05, max_backoff=0.5)
        async with OpenAIEmbedding(model="m", base_url=server.base_url, batch=batch, retry=retry) as embedder:
            rows = await embedder.aget_text_embedding_batch(texts)
    assert rows == [vector_of(text).tolist() for text in texts]


def test_the_model_is_overloaded_beyond_its_requests_in_flight():
    body = b'{"input": "held"}'
    held = Fault(delay=3600, when=lambda request: request.texts == ["held"])
    with FakeServer(max_in_flight=1, faults=[held]).in_thread() as server:
        assert post(server.base_url, {"input": "a"})[0] == 200
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=60) as connection:
            connection.sendall(f"POST /v1/embeddings HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            while len(server.requests) < 2:
                time.sleep(0.01)
            answers = [post(server.base_url, {"input": "a"}) for _ in range(3)]
    assert [(status, refusal["error"]["type"]) for status, refusal in answers] == [(429, "overloaded")] * 3


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"silent", "slow", "stream_slow", "endless", "hang_up"}))
def test_each_named_fault_makes_one_reply_another_than_the_right_one(name):
    def reply(port):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            path, body = "embeddings", b'{"model": "m", "input": ["one", "two", "three"]}'
            if name.startswith("stream"):
                path, body = "chat/completions", b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Why?"}]}'
            head = f"POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                return b"".join(iter(lambda: connection.recv(65_536), b""))
            return b""

    with FakeServer(faults=[fault(name)]).in_thread() as server:
        port = port_of(server)
        wrong, right = reply(port), reply(port)
    assert right.startswith(b"HTTP/1.1 200")
    assert wrong != right


def test_the_page_on_testing_names_every_fault_and_every_option():
    page = (Path(__file__).parents[3] / "docs/testing.md").read_text()
    usage = build_parser().format_help()
    assert [name for name in (*FAULTS, *BATCH_FAULTS) if f"`{name}`" not in page] == []
    assert [option for option in re.findall(r"--[a-z0-9-]+", usage) if option != "--help" and option not in page] == []


def test_a_fault_has_a_name_of_its_own_or_json():
    assert parse_fault("crash").status == 500
    assert (parse_fault('{"name": "throttled", "times": null, "after": 3}').times, parse_fault('{"delay": 2}').delay) == (None, 2)


@pytest.mark.parametrize("text", ["[]", "{", '{"statsu": 500}', "no_such_fault", '{"name": "no_such_fault"}'])
def test_what_is_no_fault_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        parse_fault(text)


@pytest.mark.asyncio
async def test_a_server_that_is_closed_while_it_answers_reports_no_error():
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    async with FakeServer(latency=60) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"POST /v1/embeddings HTTP/1.1\r\ncontent-length: 14\r\n\r\n" + b'{"input": "a"}')
        while not server.requests:
            await asyncio.sleep(0.01)
    writer.close()
    await asyncio.sleep(0)
    assert told == []


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(5))
async def test_a_server_that_is_closed_while_a_connection_is_being_accepted_reports_no_error_and_leaves_nothing_open(turns):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    async with FakeServer() as server:
        client = socket.create_connection(("127.0.0.1", port_of(server)))
        for _ in range(turns):
            await asyncio.sleep(0)
    client.close()
    gc.collect()
    assert told == []


def test_a_port_that_is_taken_is_a_mistake_of_the_call(unused_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--port", str(unused_port)])
    assert ending.value.code == 2
    assert f"cannot listen on port {unused_port}: " in capsys.readouterr().err
