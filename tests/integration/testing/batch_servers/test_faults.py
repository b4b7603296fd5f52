"""What the fake batch endpoints do wrong is the same with every vendor, each in its own words."""

import http.client
import json
from dataclasses import dataclass

import pytest

from asyncrun.testing.batch_servers import BASE_PATHS, BATCH_FAULTS, BatchFaults
from asyncrun.testing.batch_servers.faults import batch_faults, parse_batch_fault

DAY = 86_400
VERSION = {"anthropic-version": "2023-06-01"}


def chat(number):
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": f"Why {number}?"}]}


@dataclass
class Told:
    """What a vendor tells of a batch, in one form."""

    word: str
    results: str | None


class Vendor:
    """The ways of one vendor: submit, look, list, fetch."""

    id_key = "custom_id"

    def __init__(self, caller):
        self.caller, self.batches = caller, caller.server.batches

    def submitted(self, number):
        return self.submit(number)

    def ids(self, told):
        return [row[self.id_key] for row in self.caller.call("GET", told.results, headers=VERSION).rows]

    def get(self, batch_id):
        return self.caller.call("GET", self.place(batch_id), headers=VERSION)


class OpenAI(Vendor):
    header = "authorization"
    over = "completed"

    def submit(self, number):
        rows = [{"custom_id": f"tag-{n}", "method": "POST", "url": "/v1/chat/completions", "body": chat(n)} for n in range(number)]
        given = {"input_file_id": self.caller.upload(rows, purpose="batch").json["id"], "endpoint": "/v1/chat/completions"}
        return self.caller.post("/batches", {**given, "completion_window": "24h"})

    def place(self, batch_id):
        return f"/batches/{batch_id}"

    def list(self):
        return [batch["id"] for batch in self.caller.get("/batches").json["data"]]

    def read(self, document):
        file = document["output_file_id"]
        return Told(document["status"], file and f"/files/{file}/content")


class Azure(OpenAI):
    header = "api-key"


class Voyage(OpenAI):
    def submit(self, number):
        rows = [{"custom_id": f"tag-{n}", "body": {"input": [f"text {n}"]}} for n in range(number)]
        given = {"input_file_id": self.caller.upload(rows, purpose="batch").json["id"], "endpoint": "/v1/embeddings"}
        return self.caller.post("/batches", {**given, "completion_window": "12h", "request_params": {"model": "v"}})


class Mistral(OpenAI):
    over = "SUCCESS"

    def submit(self, number):
        rows = [{"custom_id": f"tag-{n}", "body": chat(n)} for n in range(number)]
        files = [self.caller.upload(rows, purpose="batch").json["id"]]
        return self.caller.post("/batch/jobs", {"input_files": files, "endpoint": "/v1/chat/completions", "model": "m"})

    def place(self, batch_id):
        return f"/batch/jobs/{batch_id}"

    def list(self):
        return [batch["id"] for batch in self.caller.get("/batch/jobs").json["data"]]

    def read(self, document):
        file = document["output_file"]
        return Told(document["status"], file and f"/files/{file}/content")


class Gemini(Vendor):
    header, id_key = "x-goog-api-key", "key"
    over = "BATCH_STATE_SUCCEEDED"

    def submit(self, number):
        begin = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        base = self.caller.url.removesuffix("/v1beta")
        begun = self.caller.post(f"{base}/upload/v1beta/files", {"file": {"displayName": "tag"}}, headers=begin)
        address = {key.lower(): value for key, value in begun.headers.items()}["x-goog-upload-url"]
        requests = ({"contents": [{"role": "user", "parts": [{"text": f"Why {n}?"}]}]} for n in range(number))
        rows = [{"key": f"tag-{n}", "request": request} for n, request in enumerate(requests)]
        finish = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        body = "\n".join(map(json.dumps, rows)).encode()
        name = self.caller.call("POST", address, body=body, headers=finish).json["file"]["name"]
        return self.caller.post("/models/g:batchGenerateContent", {"batch": {"displayName": "tag", "inputConfig": {"fileName": name}}})

    def place(self, batch_id):
        return f"/{batch_id}"

    def list(self):
        return [batch["name"] for batch in self.caller.get("/batches").json.get("operations", [])]

    def read(self, document):
        file = document.get("response", {}).get("responsesFile")
        base = self.caller.url.removesuffix("/v1beta")
        return Told(document["metadata"]["state"], file and f"{base}/download/v1beta/{file}:download?alt=media")


class Anthropic(Vendor):
    header = "x-api-key"
    over = "ended"

    def submit(self, number):
        requests = [{"custom_id": f"tag-{n}", "params": chat(n)} for n in range(number)]
        return self.caller.call("POST", "/v1/messages/batches", {"requests": requests}, headers=VERSION)

    def place(self, batch_id):
        return f"/v1/messages/batches/{batch_id}"

    def list(self):
        return [batch["id"] for batch in self.caller.call("GET", "/v1/messages/batches", headers=VERSION).json["data"]]

    def read(self, document):
        return Told(document["processing_status"], document["results_url"])


WAYS = {"openai": OpenAI, "azure": Azure, "mistral": Mistral, "gemini": Gemini, "voyage": Voyage, "anthropic": Anthropic}


@pytest.fixture(params=WAYS)
def begin(request, serve):
    ways = WAYS[request.param]
    return lambda **about: ways(serve(request.param, header=ways.header, **about))


def id_of(reply):
    return reply.json.get("id") or reply.json["name"]


def ended(vendor, batch_id, seconds=200):
    vendor.batches.advance(seconds)
    return vendor.read(vendor.get(batch_id).json)


def test_there_is_a_way_for_every_vendor():
    assert set(WAYS) == set(BASE_PATHS)


def test_without_a_fault_every_request_has_one_reply(begin):
    vendor = begin()
    told = ended(vendor, id_of(vendor.submit(10)))
    assert told.word == vendor.over
    ids = vendor.ids(told)
    assert sorted(ids) == [f"tag-{n}" for n in range(10)] != ids
    assert vendor.batches.books.paid_twice() == vendor.batches.books.submitted_twice() == []
    assert len(vendor.batches.books.billed) == 10
    assert vendor.caller.server.sent_texts == []


def test_another_key_finds_nothing(begin):
    vendor = begin()
    batch_id = id_of(vendor.submit(1))
    vendor.caller.key = "another"
    assert (vendor.get(batch_id).status, vendor.list()) == (404, [])


def test_a_lost_reply_leaves_a_batch_behind(begin):
    vendor = begin(faults=BatchFaults(first=1, lost_reply=True))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        vendor.submit(3)
    assert len(vendor.list()) == 1
    assert vendor.submit(4).status == 200
    assert len(vendor.batches.books.submitted_twice()) == 3


def test_a_refused_batch_leaves_none(begin):
    vendor = begin(faults=BatchFaults(first=1, refused=True))
    assert vendor.submit(3).status in (400, 422)
    assert vendor.list() == []
    assert vendor.batches.books.refused.total() == 1


def test_a_new_batch_is_not_found_at_first(begin):
    vendor = begin(faults=BatchFaults(unseen=2))
    batch_id = id_of(vendor.submit(1))
    assert [vendor.get(batch_id).status for _ in range(3)] == [404, 404, 200]


def test_results_have_foreign_missing_and_doubled_ids(begin):
    vendor = begin(faults=BatchFaults(foreign_ids=2, missing_ids=3, doubled_ids=1))
    ids = vendor.ids(ended(vendor, id_of(vendor.submit(10))))
    ours = [found for found in ids if found.startswith("tag-")]
    assert (len(ids), len(ours), len(set(ours))) == (10, 8, 7)


@pytest.mark.parametrize(("faults", "statuses"), [(BatchFaults(half_line=True), {200}), (BatchFaults(output_gone=True), {403, 404})])
def test_results_end_within_a_line_or_are_gone(begin, faults, statuses):
    vendor = begin(faults=faults)
    told = ended(vendor, id_of(vendor.submit(3)))
    reply = vendor.caller.call("GET", told.results, headers=VERSION)
    assert reply.status in statuses
    assert not reply.body.endswith(b"}\n")


def test_a_state_may_be_a_word_of_its_own(begin):
    vendor = begin(faults=BatchFaults(strange_state="rebalancing"))
    batch_id = id_of(vendor.submit(3))
    assert (ended(vendor, batch_id, 90).word, ended(vendor, batch_id, 110).word) == ("rebalancing", vendor.over)


def test_what_is_billed_and_expires_has_no_answers(begin):
    vendor = begin(faults=BatchFaults(bills_and_expires=True))
    batch_id = id_of(vendor.submit(3))
    told = ended(vendor, batch_id, 2 * DAY)
    assert told.word != vendor.over or {row["result"]["type"] for row in vendor.caller.call("GET", told.results, headers=VERSION).rows} == {
        "expired"
    }
    assert len(vendor.batches.books.billed) == 3


def test_requests_fail_in_part_and_it_takes_longer(begin):
    vendor = begin(faults=BatchFaults(failing=0.4, slow=10.0))
    batch_id = id_of(vendor.submit(30))
    assert ended(vendor, batch_id).word != vendor.over
    assert ended(vendor, batch_id, 1700).word == vendor.over
    assert 5 < len(vendor.batches.books.billed) < 25


def test_each_word_of_the_command_line_is_a_fault():
    assert all(batch_faults([parse_batch_fault(name)]) != BatchFaults() for name in BATCH_FAULTS)
    assert batch_faults([parse_batch_fault("slow"), parse_batch_fault('{"unseen": 1}')]) == BatchFaults(slow=10.0, unseen=1)
