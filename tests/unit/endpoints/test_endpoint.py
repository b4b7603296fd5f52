"""An endpoint shows no secret, and until it is proven one request goes alone, whoever waits."""

import asyncio
import random

import pytest

from asyncrun.endpoints.address import host_of
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.errors import AuthError, UsageError
from asyncrun.testing.clock import FakeClock

KEY = "sentinel-0123456789"


def make(url="http://host/v1", **headers):
    return Endpoint(url, headers, {"clock": FakeClock(), "rng": random.Random(1), "timeout": 1.0})


@pytest.mark.parametrize(
    "url", ["", "host", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://[::1", "http://host:0"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError, match="not an address"):
        make(url)


@pytest.mark.parametrize("value", ["k\u00e9y", "a\nb", "a\rb", "\x00"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(value):
    with pytest.raises(UsageError) as caught:
        make(authorization=value)
    assert value not in str(caught.value)


def test_a_servers_words_are_shown_on_one_line_without_secrets():
    endpoint = make("http://me:hunter2hunter2@host/v1", authorization=f"Bearer {KEY}", team="team-rocket-secret")
    assert endpoint.shown(f"{KEY}\n{KEY} hunter2hunter2 team-rocket-secret \x1b[31m") == r"***\x0a*** *** *** \x1b[31m"
    assert len(endpoint.shown("x" * 10_000)) == 200
    assert endpoint.host == host_of(endpoint.url) == "host"


def test_a_name_and_a_password_of_the_address_go_into_a_header_unless_a_key_is_there():
    endpoint = make("https://me:hunter%402@host:8/v1?a=b")
    assert (endpoint.url, endpoint.headers) == ("https://host:8/v1?a=b", {"authorization": "Basic bWU6aHVudGVyQDI="})
    assert endpoint.shown("bWU6aHVudGVyQDI= hunter%402") == "*** ***"
    assert make("https://me:hunter2@host/v1", Authorization=KEY).headers == {"Authorization": KEY}


class Users:
    """Requests that note who runs and wait until they are told how to end."""

    def __init__(self, endpoint, count):
        self.endpoint = endpoint
        self.running = set()
        self.ends = [asyncio.get_running_loop().create_future() for _ in range(count)]
        self.tasks = [asyncio.create_task(self.use(number)) for number in range(count)]

    async def use(self, number):
        async with self.endpoint.canary() as canary:
            if canary.error is not None:
                return canary.error
            self.running.add(number)
            try:
                canary.error = await self.ends[number]
                self.endpoint.proven = canary.error is None
                return canary.error
            finally:
                self.running.discard(number)

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)
        return self.running

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_one_goes_alone_and_then_all():
    users = Users(make(), 4)
    assert await users.settle() == {0}
    users.ends[0].set_result(None)
    assert await users.settle() == {1, 2, 3}
    await users.stop()


@pytest.mark.asyncio
async def test_what_the_first_learns_about_the_endpoint_all_that_wait_are_told():
    users = Users(make(), 3)
    await users.settle()
    users.ends[0].set_result(AuthError("refused"))
    answers = await asyncio.gather(*users.tasks)
    assert [str(answer) for answer in answers] == ["refused"] * 3
    assert {type(answer) for answer in answers} == {AuthError}


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["an accident", "cancelled"])
async def test_when_the_first_does_not_end_by_an_answer_the_next_goes_alone(how):
    users = Users(make(), 3)
    await users.settle()
    if how == "cancelled":
        users.tasks[0].cancel()
    else:
        users.ends[0].set_exception(RuntimeError("accident"))
    assert await users.settle() == {1}
    await users.stop()


@pytest.mark.asyncio
async def test_who_stops_waiting_disturbs_nobody():
    users = Users(make(), 3)
    await users.settle()
    users.tasks[1].cancel()
    assert await users.settle() == {0}
    users.ends[0].set_result(None)
    assert await users.settle() == {2}
    await users.stop()


def test_an_endpoint_that_is_printed_shows_no_key():
    assert KEY not in repr(make(authorization=f"Bearer {KEY}"))
