"""The fake batch endpoint of Voyage: the model beside the lines, twelve hours, limits that refuse at once."""

from dataclasses import replace

import pytest

from asyncrun.testing.batch_servers import BatchFaults
from asyncrun.testing.batch_servers.voyage import VoyageDesk

HOUR = 3600


def line(number, *texts):
    return {"custom_id": f"tag-{number}", "body": {"input": list(texts) or [f"text {number}"]}}


def submit(voyage, rows, **other):
    file_id = voyage.upload(rows, purpose="batch").json["id"]
    given = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "12h", "request_params": {"model": "v"}}
    return voyage.post("/batches", {**given, **other})


def test_replies_are_those_of_online_and_refusals_have_a_message_and_no_body(serve):
    voyage = serve("voyage")
    batch = submit(voyage, [line(0), line(1, ""), line(2)], metadata={"tag": "abc"}).json
    voyage.server.batches.advance(200)
    batch = voyage.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["metadata"], batch["created_at"]) == ("completed", {"tag": "abc"}, "2027-01-15T08:00:00.000000Z")
    rows = {row["custom_id"]: row for row in voyage.get(f"/files/{batch['output_file_id']}/content").rows}
    assert rows["tag-2"]["response"]["body"] == voyage.post("/embeddings", {"model": "v", "input": ["text 2"]}).json
    assert rows["tag-2"]["batch_id"] == batch["id"]
    [wrong] = voyage.get(f"/files/{batch['error_file_id']}/content").rows
    assert (wrong["response"]["status_code"], "body" in wrong["response"]) == (400, False)
    assert voyage.server.batches.books.billed[0].price == pytest.approx(0.67)


def test_after_twelve_hours_what_was_finished_is_given(serve):
    voyage = serve("voyage", faults=BatchFaults(stragglers=0.5))
    batch = submit(voyage, [line(0), line(1)]).json
    voyage.server.batches.advance(12 * HOUR)
    batch = voyage.get(f"/batches/{batch['id']}").json
    assert batch["status"] == "expired"
    assert [row["error"]["code"] for row in voyage.get(f"/files/{batch['error_file_id']}/content").rows] == ["batch_expired"]
    assert len(voyage.get(f"/files/{batch['output_file_id']}/content").rows) == 1


@pytest.mark.parametrize("limit", [{"tokens": 3}, {"in_flight": 1}])
def test_more_than_may_wait_is_refused_at_once(serve, limit):
    voyage = serve("voyage", terms={"voyage": replace(VoyageDesk.terms, **limit)})
    assert [submit(voyage, [line(0)]).status for _ in range(2)] == [200, 429]
    voyage.server.batches.advance(200)
    assert submit(voyage, [line(0)]).status == 200


def test_a_model_in_the_lines_and_a_day_are_refused(serve):
    voyage = serve("voyage")
    assert submit(voyage, [line(0)], completion_window="24h").status == 400
    assert submit(voyage, [line(0)], request_params={}).json == {"detail": "request_params.model is required."}
    row = line(0)
    row["body"]["model"] = "v"
    batch = submit(voyage, [row]).json
    voyage.server.batches.advance(200)
    assert voyage.get(f"/batches/{batch['id']}").json["status"] == "failed"
    assert serve("voyage", known_key="right").get("/batches").json == {"detail": "Provided API key is invalid."}
