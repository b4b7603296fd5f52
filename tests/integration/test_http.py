"""The one function that sends: whole replies only, within the time and the size that were allowed, and nothing follows a redirect."""

import asyncio
import gzip
import ssl
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from asyncrun.http import build_client, send
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from asyncrun.transport_faults import TransportError, TransportFault

BODY = b'{"input": ["a", "b"]}'
PEM = Path(__file__).with_name("self-signed.pem")


@pytest_asyncio.fixture(params=[False, True], ids=["http1", "http2"])
async def client(request):
    made = build_client(8, http2=request.param)
    yield made
    await made.aclose()


async def sent(client, server, timeout=60.0, **options):
    return await send(client, f"{server.base_url}/embeddings", BODY, {"x-mark": "1"}, timeout=timeout, **options)


async def fault_of(client, *faults, timeout=60.0, **options):
    async with FakeServer(faults=faults) as server:
        with pytest.raises(TransportError) as caught:
            await sent(client, server, timeout, **options)
    return caught.value.fault


@pytest.mark.asyncio
async def test_a_reply_is_whole_whatever_its_status(client):
    async with FakeServer(faults=[Fault(status=418, body=b"teapot", headers={"X-Word": "yes"})]) as server:
        refused = await sent(client, server)
        reply = await sent(client, server)
    assert (refused.status, refused.body, refused.headers["x-word"]) == (418, b"teapot", "yes")
    assert reply.status == 200
    assert server.requests[0].headers["x-mark"] == "1"
    assert server.connections == 1


@pytest.mark.asyncio
async def test_a_cookie_goes_back_to_the_server_that_has_set_it(client):
    # Behind a balancer it says which of several servers is meant.
    async with FakeServer(faults=[Fault(body=b"{}", headers={"Set-Cookie": "node=a1; Path=/"})]) as server:
        await sent(client, server)
        await sent(client, server)
    assert [request.headers.get("cookie") for request in server.requests] == [None, "node=a1"]


@pytest.mark.asyncio
async def test_a_header_that_is_given_is_in_the_place_of_the_client_s_own(client):
    async with FakeServer() as server:
        await send(client, f"{server.base_url}/embeddings", BODY, {"User-Agent": "mine"}, timeout=60)
    assert server.requests[0].headers["user-agent"] == "mine"


@pytest.mark.asyncio
@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_reply_is_inflated(client, encoding, pack):
    async with FakeServer(faults=[Fault(body=pack(b"x" * 10**6), headers={"content-encoding": encoding})]) as server:
        assert (await sent(client, server)).body == b"x" * 10**6


@pytest.mark.asyncio
async def test_a_gzip_bomb_of_20_kb_that_inflates_to_20_mb_stops_at_the_limit(client):
    bomb = gzip.compress(bytes(20 * 2**20))
    assert len(bomb) < 25_000
    assert await fault_of(client, Fault(body=bomb, headers={"content-encoding": "gzip"}), max_bytes=2**20) is TransportFault.TOO_LARGE


@pytest.mark.asyncio
async def test_a_large_plain_reply_stops_at_the_limit(client):
    assert await fault_of(client, Fault(body=bytes(2**20 + 1)), max_bytes=2**20) is TransportFault.TOO_LARGE


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["gzip, gzip, gzip, gzip, gzip", "br", "zstd"])
async def test_stacked_or_unknown_encodings_are_not_inflated(client, encoding):
    assert await fault_of(client, Fault(body=gzip.compress(b"x"), headers={"content-encoding": encoding})) is TransportFault.ENCODING


@pytest.mark.asyncio
async def test_what_only_says_that_it_is_gzip_is_told(client):
    assert await fault_of(client, Fault(body=b"plain", headers={"content-encoding": "gzip"})) is TransportFault.ENCODING


@pytest.mark.asyncio
async def test_a_gzip_stream_that_ends_early_is_not_taken_for_whole(client):
    assert await fault_of(client, Fault(body=gzip.compress(b"x" * 999)[:-12], headers={"content-encoding": "gzip"})) is TransportFault.RESET


@pytest.mark.asyncio
async def test_one_byte_now_and_then_does_not_hold_a_request_beyond_its_time(client):
    assert await fault_of(client, Fault(drip=0.05, times=None), timeout=0.3) is TransportFault.TIMEOUT


@pytest.mark.asyncio
async def test_a_server_that_says_nothing_is_left_in_time(client):
    assert await fault_of(client, Fault(delay=60, times=None), timeout=0.1) is TransportFault.TIMEOUT


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [-1, 0, 10])
async def test_a_connection_cut_before_or_within_the_reply_is_no_reply(client, cut):
    assert await fault_of(client, Fault(cut=cut, times=None)) is TransportFault.RESET


@pytest.mark.asyncio
async def test_a_length_larger_than_the_body_is_no_reply(client):
    assert await fault_of(client, Fault(body=b"{}", headers={"content-length": "99"}, cut=2)) is TransportFault.RESET


@pytest.mark.asyncio
async def test_an_address_where_nobody_listens_is_told(client, unused_port):
    with pytest.raises(TransportError) as caught:
        await send(client, f"http://127.0.0.1:{unused_port}/v1", BODY, {}, timeout=60)
    assert caught.value.fault is TransportFault.REFUSED


@pytest.mark.asyncio
async def test_a_name_that_does_not_exist_is_told(client):
    with pytest.raises(TransportError) as caught:
        await send(client, "http://nowhere.invalid/v1", BODY, {}, timeout=60)
    assert caught.value.fault in (TransportFault.DNS, TransportFault.DNS_AGAIN)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "nonsense"])
async def test_what_is_no_address_is_told(client, url):
    with pytest.raises(TransportError) as caught:
        await send(client, url, BODY, {}, timeout=60)
    assert caught.value.fault is TransportFault.ADDRESS


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_reply_and_not_followed(client, status):
    async with (
        FakeServer() as other,
        FakeServer(faults=[Fault(status=status, headers={"location": f"{other.base_url}/embeddings"})]) as server,
    ):
        reply = await sent(client, server)
    assert reply.status == status
    assert other.requests == []


@pytest.mark.asyncio
async def test_a_self_signed_certificate_is_refused(client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    async with FakeServer(tls=context) as server:
        with pytest.raises(TransportError, match="certificate") as caught:
            await sent(client, server)
    assert caught.value.fault is TransportFault.TLS
    assert server.requests == []


@pytest.mark.asyncio
async def test_a_ca_bundle_of_the_environment_is_honoured(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    client = build_client(1)
    async with FakeServer(tls=context) as server:
        assert (await sent(client, server)).status == 200
        await client.aclose()


@pytest.mark.asyncio
async def test_a_proxy_of_the_environment_is_honoured(monkeypatch):
    async with FakeServer(faults=[Fault(status=200, body=b"by proxy")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        client = build_client(1)
        reply = await send(client, "http://embeddings.example/v1/embeddings", BODY, {}, timeout=60)
        await client.aclose()
    assert reply.body == b"by proxy"


@pytest.mark.asyncio
@pytest.mark.parametrize("http2", [False, True])
async def test_a_proxy_that_opens_no_tunnel_is_told_as_the_way_that_is_shut(monkeypatch, http2):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        client = await asyncio.to_thread(build_client, 1, http2=http2)
        with pytest.raises(TransportError, match=r"^the proxy opens no tunnel: 407 Proxy Authentication Required$") as caught:
            await send(client, "https://embeddings.example/v1/embeddings", BODY, {}, timeout=60)
        await client.aclose()
    assert caught.value.fault is TransportFault.REFUSED


@pytest.mark.asyncio
async def test_a_kept_connection_that_the_server_has_closed_costs_nothing(client):
    async with FakeServer(faults=[Fault(cut=-1, after=1)]) as server:
        await sent(client, server)
        assert (await sent(client, server)).status == 200
    assert server.connections == 2


@pytest.mark.asyncio
async def test_cancelling_leaves_the_client_usable(client):
    async with FakeServer(faults=[Fault(delay=60)]) as server:
        task = asyncio.create_task(sent(client, server))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await sent(client, server)).status == 200


class Made:
    """Counts the connections that are being made, and those that have been."""

    def __init__(self):
        self.begun = self.open = 0

    @contextmanager
    def __call__(self):
        self.begun += 1
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


@pytest.mark.asyncio
async def test_making_a_connection_is_told_once_for_all_requests_that_use_it(client):
    made = Made()
    async with FakeServer() as server:
        await sent(client, server, connecting=made)
        await sent(client, server, connecting=made)
    assert (made.begun, made.open) == (1, 0)


@pytest.mark.asyncio
async def test_a_connection_that_cannot_be_made_is_told_to_its_end(client, unused_port):
    made = Made()
    with pytest.raises(TransportError):
        await send(client, f"http://127.0.0.1:{unused_port}/v1", BODY, {}, timeout=60, connecting=made)
    assert (made.begun, made.open) == (1, 0)


@pytest.mark.asyncio
async def test_renewed_connections_are_new_and_a_request_that_is_under_way_keeps_its_own(client):
    async with FakeServer(faults=[Fault(delay=0.2, times=1)]) as server:
        slow = asyncio.create_task(sent(client, server))
        while not server.requests:
            await asyncio.sleep(0.01)
        await client.renew()
        assert (await sent(client, server)).status == 200
        assert (await slow).status == 200
        await client.renew()
        assert (await sent(client, server)).status == 200
        assert server.connections == 3
