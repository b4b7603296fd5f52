"""What the fake batch endpoint of Azure has that OpenAI's has not."""

import pytest

from asyncrun.testing.batch_servers import BatchFaults

DAY = 86_400


def line(number, url="/v1/embeddings"):
    return {"custom_id": f"tag-{number}", "method": "POST", "url": url, "body": {"model": "deployment", "input": [f"text {number}"]}}


def submit(azure, rows):
    file_id = azure.upload(rows, purpose="batch").json["id"]
    return azure.post("/batches", {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}).json


def test_its_words_and_a_file_of_errors_with_nothing_in_it(serve):
    azure = serve("azure", header="api-key")
    batch = submit(azure, [line(0), line(1, "/embeddings")])
    assert (batch["status"], batch["request_counts"], batch["endpoint"]) == ("Validating", None, "/embeddings")
    azure.server.batches.advance(200)
    batch = azure.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 2)
    assert azure.get(f"/files/{batch['error_file_id']}/content").body == b""
    online = azure.post("/embeddings", line(1)["body"]).json
    rows = {row["custom_id"]: row for row in azure.get(f"/files/{batch['output_file_id']}/content").rows}
    assert rows["tag-1"]["response"]["body"] == online


def test_what_takes_longer_than_a_day_runs_on_until_it_is_cancelled(serve):
    azure = serve("azure", header="api-key", faults=BatchFaults(stragglers=0.5))
    batch = submit(azure, [line(n) for n in range(4)])
    azure.server.batches.advance(3 * DAY)
    assert azure.get(f"/batches/{batch['id']}").json["status"] == "in_progress"
    azure.post(f"/batches/{batch['id']}/cancel")
    azure.server.batches.advance(60)
    batch = azure.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["request_counts"]["completed"]) == ("cancelled", 2)


def test_the_older_address_is_the_same_and_a_refusal_is_in_its_form(serve):
    azure = serve("azure", header="api-key")
    batch = submit(azure, [line(0)])
    azure.url = azure.server.base_url.removesuffix("/v1") + "/openai"
    assert azure.get(f"/batches/{batch['id']}?api-version=2024-10-21").json["id"] == batch["id"]
    assert azure.get("/batches/other").json == {"error": {"code": "notFound", "message": "No batch found with id 'other'."}}
    strict = serve("azure", header="api-key", known_key="right").get("/batches")
    assert strict.status == 401


@pytest.mark.parametrize("seconds", ["3600", "1209600"])
def test_a_life_of_a_file_is_two_weeks_at_least(serve, seconds):
    azure = serve("azure", header="api-key")
    reply = azure.upload([line(0)], purpose="batch", **{"expires_after.seconds": seconds, "expires_after.anchor": "created_at"})
    assert reply.status == (200 if int(seconds) >= 14 * DAY else 400)
