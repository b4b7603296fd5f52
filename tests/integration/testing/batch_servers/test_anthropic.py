"""The fake message batches of Anthropic: ids that are looked at, counts at the end, results for 29 days."""

from dataclasses import replace

import pytest

from asyncrun.testing.batch_servers import BatchFaults
from asyncrun.testing.batch_servers.anthropic import AnthropicDesk

DAY = 86_400
VERSION = {"anthropic-version": "2023-06-01"}
BATCHES = "/v1/messages/batches"


def request(number, text="Why?", **params):
    return {
        "custom_id": f"tag-{number}",
        "params": {"model": "c", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **params},
    }


class Client:
    def __init__(self, caller):
        self.caller, self.batches = caller, caller.server.batches

    def call(self, method, path="", document=None):
        return self.caller.call(method, path if path.startswith("http") else BATCHES + path, document, headers=VERSION)

    def submit(self, requests):
        return self.call("POST", "", {"requests": requests})


@pytest.fixture
def start(serve):
    return lambda **about: Client(serve("anthropic", header="x-api-key", **about))


def test_all_requests_are_in_progress_until_the_batch_has_ended_and_then_have_their_results(start):
    client = start()
    batch, found = client.submit([request(n, f"Why {n}?") for n in range(6)]).json, []
    for _ in range(70):
        seen = client.call("GET", f"/{batch['id']}").json
        found.append((seen["processing_status"], seen["request_counts"]["processing"]))
        client.batches.advance(3)
    assert list(dict.fromkeys(found)) == [("in_progress", 6), ("ended", 0)]
    batch = client.call("GET", f"/{batch['id']}").json
    assert batch["request_counts"]["succeeded"] == 6
    rows = client.call("GET", batch["results_url"]).rows
    assert [row["custom_id"] for row in rows] != [f"tag-{n}" for n in range(6)]
    [row] = [row for row in rows if row["custom_id"] == "tag-4"]
    assert row["result"]["message"] == client.caller.call("POST", "/v1/messages", request(4, "Why 4?")["params"], headers=VERSION).json


def test_a_request_that_is_wrong_is_an_error_of_its_own_and_not_billed(start):
    client = start()
    batch = client.submit([request(0), request(1, messages=[])]).json
    client.batches.advance(200)
    rows = {row["custom_id"]: row["result"] for row in client.call("GET", f"/{batch['id']}/results").rows}
    assert (rows["tag-1"]["type"], rows["tag-1"]["error"]["error"]["type"]) == ("errored", "invalid_request_error")
    assert [billed.custom_id for billed in client.batches.books.billed] == ["tag-0"]


@pytest.mark.parametrize(
    ("requests", "status"),
    [
        ([request(0), {**request(1), "custom_id": "a b"}], 400),
        ([request(0), {**request(1), "custom_id": "x" * 65}], 400),
        ([request(0), request(0)], 400),
        ([], 400),
        ([request(n) for n in range(4)], 400),
        ([request(0, "x" * 3000)], 413),
    ],
)
def test_one_request_that_cannot_be_refuses_all_of_them(start, requests, status):
    client = start(terms={"anthropic": replace(AnthropicDesk.terms, lines=3, size=2000)})
    assert client.submit(requests).status == status
    assert client.call("GET").json["data"] == []


def test_what_is_not_done_within_a_day_is_expired_and_what_is_cancelled_is_canceled(start):
    client = start(faults=BatchFaults(first=1, stragglers=0.5))
    late, stopped = client.submit([request(n) for n in range(4)]).json, client.submit([request(0)]).json
    assert client.call("POST", f"/{stopped['id']}/cancel").json["processing_status"] == "canceling"
    client.batches.advance(DAY)
    counts = client.call("GET", f"/{late['id']}").json["request_counts"]
    assert counts == {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 0, "expired": 2}
    assert client.call("GET", f"/{stopped['id']}/results").rows == [{"custom_id": "tag-0", "result": {"type": "canceled"}}]


def test_results_are_kept_for_29_days_and_a_batch_is_deleted_when_it_has_ended(start):
    client = start()
    batch = client.submit([request(0)]).json
    assert client.call("GET", f"/{batch['id']}/results").status == 404
    assert client.call("DELETE", f"/{batch['id']}").status == 400
    client.batches.advance(29 * DAY)
    batch = client.call("GET", f"/{batch['id']}").json
    assert (batch["archived_at"] is None, batch["results_url"]) == (False, None)
    assert client.call("GET", f"/{batch['id']}/results").status == 404
    assert client.call("DELETE", f"/{batch['id']}").json == {"id": batch["id"], "type": "message_batch_deleted"}
    assert client.call("GET", f"/{batch['id']}").json["error"]["type"] == "not_found_error"


def test_the_list_has_pages_and_too_many_requests_wait(start):
    client = start(terms={"anthropic": replace(AnthropicDesk.terms, waiting=3)})
    made = [client.submit([request(0)]).json["id"] for _ in range(3)]
    first = client.call("GET", "?limit=2").json
    assert ([batch["id"] for batch in first["data"]], first["has_more"]) == (made[:0:-1], True)
    assert [batch["id"] for batch in client.call("GET", f"?after_id={first['last_id']}").json["data"]] == made[:1]
    assert client.submit([request(0)]).json["error"]["type"] == "rate_limit_error"
    assert client.caller.get(BATCHES).json["error"]["message"] == "anthropic-version: header is required"
    assert start(known_key="right").call("GET").json["error"]["type"] == "authentication_error"
