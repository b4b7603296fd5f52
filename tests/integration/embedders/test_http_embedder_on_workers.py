"""An embedder behind HTTP whose attempts are made on workers: limits, attempts and the words of a refusal are those of one process."""

import asyncio
import pickle

import pytest

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.embedders.on_workers import embed_on_workers
from asyncrun.errors import AuthError, OutageError
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import are_right
from tests.executors import SENTENCE, FakeExecutor

KEY = "sentinel-0123456789abcdef"
TEXTS = [f"text {number}" for number in range(10)]


@pytest.fixture
def on_workers(embedder_of):
    """Embed with attempts on the workers of an executor."""

    async def embed(server, executor, texts=TEXTS, **options):
        try:
            async with embedder_of(server, **options) as embedder:
                embedder.endpoint.executor = executor
                return await embedder.aembed(texts), embedder
        finally:
            await executor.aclose()

    return embed


@pytest.mark.asyncio
async def test_vectors_and_usage_are_those_of_one_process(on_workers, embed):
    executor = FakeExecutor()
    async with FakeServer() as server:
        here, (there, _) = await embed(server), await on_workers(server, executor)
    assert executor.calls
    assert are_right(there, TEXTS)
    assert there.vectors.tobytes() == here.vectors.tobytes()
    assert there.usage == here.usage


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    [
        error(404, "The model `m` does not exist", code="model_not_found"),
        Fault(status=401, body=f'{{"error": {{"message": "wrong key {KEY}"}}}}'.encode()),
        Fault(status=429, headers={"retry-after": "86400"}),
        Fault(body=b"<html>Welcome</html>", times=None),
    ],
    ids=["model", "key", "day", "page"],
)
async def test_a_refusal_has_the_words_that_it_has_in_one_process(on_workers, embedder_of, fault):
    async with FakeServer(faults=[fault]) as server, embedder_of(server, api_key=KEY) as embedder:
        here = await embedder.aembed(TEXTS)
        server.faults[:] = [Fault(status=fault.status, body=fault.body, headers=fault.headers, translated=fault.translated, times=None)]
        there, _ = await on_workers(server, FakeExecutor(), api_key=KEY)
    assert (type(there.error), str(there.error)) == (type(here.error), str(here.error))
    assert KEY not in str(there.error)


@pytest.mark.asyncio
async def test_a_lost_worker_is_an_attempt_that_failed_by_transport(on_workers):
    executor = FakeExecutor()
    executor.ends = lambda _: len(executor.calls) == 1
    async with FakeServer() as server:
        answer, _ = await on_workers(server, executor)
    assert are_right(answer, TEXTS)
    assert answer.usage.retries == 1


@pytest.mark.asyncio
async def test_workers_that_are_lost_again_and_again_are_an_outage_that_says_why(on_workers):
    async with FakeServer() as server:
        answer, _ = await on_workers(server, FakeExecutor(ends=lambda _: True), retry=RetryPolicy(attempts=3, base=0.001))
    assert isinstance(answer.error, OutageError)
    assert SENTENCE in str(answer.error)
    assert server.requests == []


@pytest.mark.asyncio
async def test_what_a_server_states_of_its_limits_is_learned_where_permits_are_given(on_workers):
    stated = {"x-ratelimit-limit-requests": "5000", "x-ratelimit-remaining-requests": "4999"}
    async with FakeServer(faults=[Fault(headers=stated, times=None)]) as server:
        _, embedder = await on_workers(server, FakeExecutor())
    assert embedder.rate_limits.requests_per_minute == 5000


@pytest.mark.asyncio
async def test_a_throttle_that_one_worker_sees_holds_all_requests(on_workers):
    slow = Fault(status=429, headers={"retry-after": "0.3"}, after=1)
    async with FakeServer(faults=[slow]) as server:
        answer, _ = await on_workers(server, FakeExecutor(slots=64))
        throttled, after = server.requests[1].at, [request.at for request in server.requests[2:]]
    assert are_right(answer, TEXTS)
    assert min(after) - throttled >= 0.3
    assert answer.waits.gate > 0


@pytest.mark.asyncio
async def test_one_limit_of_requests_at_once_holds_for_all_workers(on_workers):
    executor = FakeExecutor(slots=64, workers=4)
    async with FakeServer(latency=0.01) as server:
        limits = Limits(concurrency=2)
        await on_workers(server, executor, limits=limits)
    assert executor.most_at_once <= 2


@pytest.mark.parametrize(("stated", "slots", "at_once"), [(200, 320, 200), (200, 32, 32), (None, 320, 8)])
def test_as_many_requests_are_under_way_as_are_stated_and_workers_have_slots(stated, slots, at_once):
    executor, embedder = (
        FakeExecutor(slots=slots),
        OpenAIEmbedding("m", base_url="http://127.0.0.1:9/v1", limits=Limits(concurrency=stated)),
    )
    assert embed_on_workers(embedder, executor, "openai", {}, None).workers == at_once


def test_a_part_shows_no_key(embedder_of):
    part = embedder_of(FakeServer(port=9), api_key=KEY, headers={"x-more": f"{KEY}-more"}).endpoint.worker_part()
    assert KEY not in repr(part)
    assert pickle.loads(pickle.dumps(part)) == part


@pytest.mark.asyncio
async def test_a_worker_uses_the_proxy_of_the_run_and_shows_it_to_nobody(embedder_of, monkeypatch):
    async with FakeServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        part = embedder_of(FakeServer(port=9)).endpoint.worker_part()
        monkeypatch.delenv("HTTP_PROXY")
        async with part.open() as opened:
            made = await opened.attempt(b"{}", str, divisible=False, proven=True)
        monkeypatch.delenv("HTTP_PROXY")
    assert made.error is None or made.error.reached
    assert [request.headers["host"] for request in proxy.requests] == ["127.0.0.1:9"]
    assert proxy.base_url not in repr(part)


@pytest.mark.asyncio
async def test_a_worker_that_says_nothing_is_not_waited_for_for_ever(on_workers, monkeypatch):
    class Frozen(FakeExecutor):
        async def run(self, *arguments):
            if not self.most_at_once:
                self.most_at_once = 1
                await asyncio.Event().wait()
            return await super().run(*arguments)

    monkeypatch.setattr("asyncrun.endpoints.worker_call.LATE", -59.0)  # a second in all
    async with FakeServer() as server:
        answer, _ = await on_workers(server, Frozen(), timeout=30.0)
    assert are_right(answer, TEXTS)
    assert answer.usage.retries > 0


@pytest.mark.asyncio
async def test_a_key_that_one_worker_has_refused_costs_one_call_whoever_waits(embedder_of):
    executor = FakeExecutor()
    async with FakeServer(key="another") as server, embedder_of(server, api_key=KEY) as embedder:
        embedder.endpoint.executor = executor
        answers = await asyncio.gather(*(embedder.aembed(TEXTS) for _ in range(8)))
        await executor.aclose()
    assert {type(answer.error) for answer in answers} == {AuthError}
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_one_rate_holds_for_all_workers(embedder_of):
    executor = FakeExecutor(slots=64, workers=4)
    async with FakeServer(quota=Quota(requests=20, seconds=1.0, told=False)) as server:
        async with embedder_of(server, limits=Limits(requests_per_minute=600)) as embedder:
            embedder.endpoint.executor = executor
            answers = await asyncio.gather(*(embedder.aembed([text]) for text in TEXTS * 2))
        await executor.aclose()
    assert all(answer.error is None and answer.waits.gate == 0 for answer in answers)
    assert any(answer.waits.rate > 0 for answer in answers)
    assert len(server.requests) == len(answers)
