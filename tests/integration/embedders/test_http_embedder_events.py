"""What a batch behind HTTP tells: its attempts and waits as events below it, and where its seconds went."""

import asyncio

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.worker_state import monitor_workers
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.errors import AuthError
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer


@pytest.fixture
def debug():
    return LlamaDebugHandler(print_trace_on_end=False)


async def embed_told(embedder, debug, texts=("a", "b")):
    manager = CallbackManager([debug])
    with manager.event(CBEventType.EMBEDDING) as batch, batch.enclosing():
        return (await embedder.aembed(list(texts))).or_raise(), manager.trace_map[batch.event_id]


@pytest.mark.asyncio
async def test_attempts_are_children_of_their_batch_with_class_and_status(embedder_of, debug):
    faults = [Fault(status=500), error(429, "slow down", headers={"retry-after": "0.01"})]
    async with FakeServer(faults=faults) as server, embedder_of(server) as embedder:
        answer, children = await embed_told(embedder, debug)
    attempts = debug.get_event_pairs(CBEventType.ATTEMPT)
    assert [end.payload.get("name") for _, end in attempts] == ["transient", "throttle", None]
    assert [end.payload.get("http.response.status_code") for _, end in attempts] == [500, 429, None]
    assert {start.id_ for start, _ in attempts} <= set(children)
    assert answer.usage.requests == 3


@pytest.mark.asyncio
async def test_a_batch_knows_how_long_it_connected_and_decoded_and_a_kept_connection_is_not_made_again(embedder_of):
    async with FakeServer() as server, embedder_of(server) as embedder:
        first = await embedder.aembed(["a"])
        second = await embedder.aembed(["b"])
    assert first.waits.connect > 0
    assert second.waits.connect == 0
    assert min(first.waits.decode, second.waits.decode, second.waits.request) > 0


@pytest.mark.asyncio
async def test_no_secret_stands_in_an_attempt(embedder_of, debug):
    key = "sk-0123456789abcdef"
    async with FakeServer(faults=[error(401, f"no such key {key}")]) as server, embedder_of(server, api_key=key) as embedder:
        with pytest.raises(AuthError, match="no such key"):
            await embed_told(embedder, debug)
    [(_, end)] = debug.get_event_pairs(CBEventType.ATTEMPT)
    assert end.payload["name"] == "auth"
    assert key not in str(end.payload)


@pytest.mark.asyncio
async def test_a_slot_that_connects_says_so(embedder_of):
    """The server accepts, and does not answer to the greeting of TLS."""
    greeted = asyncio.Event()

    async def silent(reader, writer):
        await reader.read(1)
        greeted.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    server.base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, embedder_of(server) as embedder:
        with monitor_workers() as seen:
            running = asyncio.create_task(run_jobs([embedder.aembed(["a"])]))
            await greeted.wait()
            assert [worker.waits_for for worker in seen.busy()] == ["connect"]
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


@pytest.mark.asyncio
async def test_after_renewal_requests_go_over_new_connections(embedder_of):
    async with FakeServer() as server, embedder_of(server) as embedder:
        await embedder.renew_connections()
        await embedder.aembed(["a"])
        await embedder.renew_connections()
        await embedder.aembed(["b"])
        assert server.connections == 2
