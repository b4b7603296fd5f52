"""HTTP/2 where it is asked for: all requests on one connection, and otherwise as ever; proxies and CA bundles hold for it too."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import numpy as np
import pytest

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.http import build_client, send
from asyncrun.testing.faults import SeenRequest
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.transport_faults import TransportError, TransportFault

PEM = Path(__file__).with_name("self-signed.pem")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def known_server(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    for name in (*PROXIES, *(name.lower() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)


class Http2Server:
    """Answers embedding requests over HTTP/2, after `latency` seconds; hangs up on the first stream of so many connections."""

    def __init__(self, latency=0.0, hang_ups=0):
        self.latency, self.hang_ups = latency, hang_ups
        self.connections = self.requests = self.most_at_once = self._at_once = 0
        self.url = ""
        self._serving = set()

    @asynccontextmanager
    async def running(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        context.set_alpn_protocols(["h2"])
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._serving.add(task)
        self.connections += 1
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        bodies = {}
        try:
            writer.write(state.data_to_send())
            while data := await reader.read(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                        state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        if self.connections <= self.hang_ups and self.requests:
                            return
                        answering = asyncio.create_task(self._answer(state, writer, event.stream_id, bodies.pop(event.stream_id)))
                        self._serving.add(answering)
                        answering.add_done_callback(self._serving.discard)
                writer.write(state.data_to_send())
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _answer(self, state, writer, stream, body):
        self.requests += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.latency)
        self._at_once -= 1
        texts = SeenRequest(0, "POST", "", {}, body, 0.0, json.loads(body)).texts
        rows = [{"index": place, "embedding": vector_of(text, 8).tolist()} for place, text in enumerate(texts)]
        state.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        state.send_data(stream, json.dumps({"data": rows}).encode(), end_stream=True)
        writer.write(state.data_to_send())


@pytest.mark.asyncio
async def test_many_requests_share_one_connection():
    server = Http2Server(latency=0.05)
    async with server.running(), OpenAIEmbedding(model="m", base_url=server.url, http2=True) as embedder:
        answers = await asyncio.gather(*(embedder.aembed([f"text {number}"]) for number in range(40)))
    assert all(np.allclose(answer.vectors[0], vector_of(f"text {number}", 8), atol=1e-6) for number, answer in enumerate(answers))
    assert (server.connections, server.most_at_once > 1) == (1, True)


@pytest.mark.asyncio
async def test_a_kept_connection_that_the_server_has_closed_costs_nothing():
    server = Http2Server(hang_ups=1)
    client = build_client(4, http2=True)
    async with server.running():
        for _ in range(2):
            reply = await send(client, f"{server.url}/embeddings", b'{"input": ["a"]}', {}, timeout=60)
            assert reply.status == 200
        await client.aclose()
    assert server.connections == 2


@pytest.mark.asyncio
async def test_a_server_that_knows_http_1_alone_is_asked_in_http_1():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    async with FakeServer(tls=context) as server, OpenAIEmbedding(model="m", base_url=server.base_url, http2=True) as embedder:
        assert (await embedder.aembed(["a"])).positions == (0,)


@pytest.mark.asyncio
async def test_a_certificate_that_is_not_in_the_bundle_is_refused(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    server = Http2Server()
    client = build_client(1, http2=True)
    async with server.running():
        with pytest.raises(TransportError, match="certificate") as caught:
            await send(client, server.url, b"{}", {}, timeout=60)
        await client.aclose()
    assert caught.value.fault is TransportFault.TLS


class Tunnel:
    """A proxy that opens tunnels, and notes to where."""

    def __init__(self):
        self.asked = []

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://me:secret-of-the-proxy@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._tasks = set()
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        self.asked.append(head)
        host, port = head[0].split()[1].rsplit(":", 1)
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source, target):
            while data := await source.read(65536):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))
        finally:
            there_writer.transport.abort()
            writer.transport.abort()


@pytest.mark.asyncio
@pytest.mark.parametrize("http2", [False, True])
async def test_a_tunnel_of_the_environment_is_used_for_https_and_the_bundle_holds_inside(monkeypatch, http2):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    tunnel = Tunnel()
    async with tunnel.running(), FakeServer(tls=context) as server:
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        async with OpenAIEmbedding(model="m", base_url=server.base_url, api_key="key-of-the-server", http2=http2) as embedder:
            assert (await embedder.aembed(["a"])).positions == (0,)
    assert tunnel.asked[0][0].startswith("CONNECT 127.0.0.1:")
    assert "key-of-the-server" not in str(tunnel.asked)
    assert [line for line in tunnel.asked[0] if line.lower() == "proxy-authorization: basic bwu6c2vjcmv0lw9mlxrozs1wcm94eq=="]
    assert server.requests[0].headers["authorization"] == "Bearer key-of-the-server"


@pytest.mark.asyncio
@pytest.mark.parametrize("http2", [False, True])
async def test_no_proxy_leaves_a_host_alone(monkeypatch, http2):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with FakeServer() as server, OpenAIEmbedding(model="m", base_url=server.base_url, http2=http2) as embedder:
        assert (await embedder.aembed(["a"])).positions == (0,)


@pytest.mark.asyncio
@pytest.mark.parametrize("http2", [False, True])
async def test_a_pool_has_as_many_connections_as_requests_may_be_in_flight(http2):
    # The first five are held until all of them are there.
    async with FakeServer(latency=lambda request: 1.0 if request.number < 5 else 0.0) as server:
        client = build_client(5, http2=http2)
        url = f"{server.base_url}/embeddings"
        replies = await asyncio.gather(*(send(client, url, b'{"input": ["a"]}', {}, timeout=60) for _ in range(15)))
        await client.aclose()
    assert [reply.status for reply in replies] == [200] * 15
    assert (server.connections, server.most_in_flight) == (5, 5)
