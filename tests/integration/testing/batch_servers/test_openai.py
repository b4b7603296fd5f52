"""The fake batch endpoint of OpenAI goes through its states, and gives and forgets what the vendor gives and forgets."""

import http.client
from dataclasses import replace

import pytest

from asyncrun.testing.batch_servers import BatchFaults
from asyncrun.testing.batch_servers.openai import OpenAIDesk

DAY = 86_400


def line(number, text="a text", **other):
    body = {"model": "m", "input": [text]}
    return {"custom_id": f"tag-{number}", "method": "POST", "url": "/v1/embeddings", "body": body, **other}


def chat_line(number, prompt):
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    return {"custom_id": f"tag-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def submit(openai, rows, endpoint="/v1/embeddings", **other):
    file_id = openai.upload(rows, purpose="batch").json["id"]
    return openai.post("/batches", {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **other})


def states(openai, batch_id, seconds, times):
    found = []
    for _ in range(times):
        found.append(openai.get(f"/batches/{batch_id}").json["status"])
        openai.server.batches.advance(seconds)
    return list(dict.fromkeys(found))


def test_a_batch_goes_through_the_states_and_its_replies_are_those_of_online_in_another_order(serve):
    openai = serve("openai")
    batch = submit(openai, [line(n, f"text {n}") for n in range(20)], metadata={"tag": "abc"}).json
    assert batch["status"] == "validating"
    assert (batch["metadata"], batch["output_file_id"], batch["errors"]) == ({"tag": "abc"}, None, None)
    assert states(openai, batch["id"], 3, 70) == ["validating", "in_progress", "finalizing", "completed"]
    batch = openai.get(f"/batches/{batch['id']}").json
    assert batch["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert batch["error_file_id"] in ("", None)
    rows = openai.get(f"/files/{batch['output_file_id']}/content").rows
    ids = [row["custom_id"] for row in rows]
    assert sorted(ids) == sorted(f"tag-{n}" for n in range(20))
    assert ids != [f"tag-{n}" for n in range(20)]
    online = openai.post("/embeddings", line(7, "text 7")["body"])
    row = next(row for row in rows if row["custom_id"] == "tag-7")
    assert row["response"]["body"] == online.json
    assert (row["response"]["status_code"], row["error"]) == (200, None)


def test_chat_answers_are_those_of_online(serve):
    openai = serve("openai")
    batch = submit(openai, [chat_line(0, "Why?"), chat_line(1, "[1] It rains.")], "/v1/chat/completions").json
    openai.server.batches.advance(200)
    rows = openai.get(f"/files/{openai.get('/batches/' + batch['id']).json['output_file_id']}/content").rows
    for number, prompt in enumerate(["Why?", "[1] It rains."]):
        [row] = [row for row in rows if row["custom_id"] == f"tag-{number}"]
        assert row["response"]["body"] == openai.post("/chat/completions", chat_line(0, prompt)["body"]).json


def test_requests_that_are_refused_stand_in_the_file_of_errors_and_are_not_billed(serve):
    openai = serve("openai")
    batch = submit(openai, [line(0), line(1, "")]).json
    openai.server.batches.advance(200)
    batch = openai.get(f"/batches/{batch['id']}").json
    assert batch["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    [wrong] = openai.get(f"/files/{batch['error_file_id']}/content").rows
    assert (wrong["custom_id"], wrong["response"]["status_code"], wrong["error"]) == ("tag-1", 400, None)
    assert [billed.custom_id for billed in openai.server.batches.books.billed] == ["tag-0"]


def test_a_batch_of_which_nothing_succeeds_is_completed_without_an_output(serve):
    openai = serve("openai")
    batch = submit(openai, [line(0, "")]).json
    openai.server.batches.advance(200)
    batch = openai.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert batch["error_file_id"]


@pytest.mark.parametrize(
    ("rows", "code", "number"),
    [
        (b'{"custom_id": "tag-0"\n', "invalid_json_line", 1),
        ([line(0), line(0)], "duplicate_custom_id", 2),
        ([line(0), line(1, url="/v1/chat/completions")], "mismatched_url", 2),
        ([line(0), line(1, body={"model": "other", "input": ["a"]})], "mismatched_model", 2),
        ([line(n) for n in range(4)], "too_many_tasks", None),
        (b"\n", "empty_file", None),
    ],
)
def test_a_file_with_mistakes_is_taken_and_the_batch_fails_later(serve, rows, code, number):
    openai = serve("openai", terms={"openai": replace(OpenAIDesk.terms, lines=3)})
    reply = submit(openai, rows)
    assert (reply.status, reply.json["status"]) == (200, "validating")
    openai.server.batches.advance(200)
    batch = openai.get(f"/batches/{reply.json['id']}").json
    assert batch["status"] == "failed"
    assert (batch["errors"]["data"][0]["code"], batch["errors"]["data"][0]["line"]) == (code, number)
    assert openai.server.batches.books.billed == []


def test_an_expired_batch_gives_what_was_finished_and_names_the_rest(serve):
    openai = serve("openai", faults=BatchFaults(stragglers=0.3))
    batch = submit(openai, [line(n) for n in range(10)]).json
    openai.server.batches.advance(DAY - 1)
    assert openai.get(f"/batches/{batch['id']}").json["status"] == "in_progress"
    openai.server.batches.advance(1)
    batch = openai.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["request_counts"]["completed"]) == ("expired", 7)
    left = openai.get(f"/files/{batch['error_file_id']}/content").rows
    assert {row["error"]["code"] for row in left} == {"batch_expired"}
    assert len(openai.get(f"/files/{batch['output_file_id']}/content").rows) == 7
    assert len(openai.server.batches.books.billed) == 7


def test_a_cancelled_batch_gives_what_was_finished_until_then(serve):
    openai = serve("openai")
    batch = submit(openai, [line(n) for n in range(10)]).json
    openai.server.batches.advance(90)
    assert openai.post(f"/batches/{batch['id']}/cancel").json["status"] == "cancelling"
    openai.server.batches.advance(90)
    batch = openai.get(f"/batches/{batch['id']}").json
    assert batch["status"] == "cancelled"
    finished = openai.get(f"/files/{batch['output_file_id']}/content").rows
    assert 0 < len(finished) < 10
    assert len(openai.server.batches.books.billed) == len(finished)
    assert openai.post(f"/batches/{batch['id']}/cancel").status == 409


def test_the_list_has_pages_newest_first_and_no_filter(serve):
    openai = serve("openai")
    made = [submit(openai, [line(0)], metadata={"number": str(n)}).json["id"] for n in range(5)]
    first = openai.get("/batches?limit=2&metadata=number").json
    assert [batch["id"] for batch in first["data"]] == made[:2:-1]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, made[4], made[3])
    rest = openai.get(f"/batches?after={first['last_id']}").json
    assert ([batch["id"] for batch in rest["data"]], rest["has_more"]) == (made[2::-1], False)
    assert openai.get("/batches?limit=101").status == 400


def test_files_are_deleted_and_forgotten_after_thirty_days(serve):
    openai = serve("openai")
    first, second = (openai.upload([line(0)], purpose="batch").json["id"] for _ in range(2))
    assert openai.call("DELETE", f"/files/{first}").json == {"id": first, "object": "file", "deleted": True}
    assert openai.get(f"/files/{first}/content").status == 404
    assert openai.post("/batches", {"input_file_id": first, "endpoint": "/v1/embeddings", "completion_window": "24h"}).status == 400
    short = openai.upload([line(0)], purpose="batch", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}).json[
        "id"
    ]
    openai.server.batches.advance(3601)
    assert (openai.get(f"/files/{short}").status, openai.get(f"/files/{second}").status) == (404, 200)
    openai.server.batches.advance(30 * DAY)
    assert openai.get(f"/files/{second}").status == 404


def test_too_many_tokens_that_wait_make_the_next_batch_fail_later(serve):
    openai = serve("openai", terms={"openai": replace(OpenAIDesk.terms, tokens=10)})
    ids = [submit(openai, [line(0, "x" * 28)]).json["id"] for _ in range(2)]
    openai.server.batches.advance(200)
    assert [openai.get(f"/batches/{batch_id}").json["status"] for batch_id in ids] == ["completed", "failed"]
    assert openai.get(f"/batches/{ids[1]}").json["errors"]["data"][0]["code"] == "token_limit_exceeded"
    assert submit(openai, [line(0, "x" * 28)]).json["status"] == "validating"


def test_more_batches_than_the_hour_allows_are_told_to_wait(serve):
    openai = serve("openai", terms={"openai": replace(OpenAIDesk.terms, creates=2)})
    assert [submit(openai, [line(0)]).status for _ in range(3)] == [200, 200, 429]
    openai.server.batches.advance(3600)
    assert submit(openai, [line(0)]).status == 200


def test_a_wrong_key_is_told_in_the_vendors_form_and_another_key_sees_nothing(serve):
    openai = serve("openai")
    batch = submit(openai, [line(0)]).json
    openai.key = "another"
    assert [openai.get(path).status for path in (f"/batches/{batch['id']}", f"/files/{batch['input_file_id']}")] == [404, 404]
    assert openai.get("/batches").json["data"] == []
    strict = serve("openai", known_key="right")
    reply = strict.get("/batches")
    assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")


def test_faults_are_those_that_were_asked_for(serve):
    openai = serve(
        "openai", faults=BatchFaults(first=1, unseen=2, foreign_ids=1, missing_ids=1, doubled_ids=1, strange_state="rebalancing")
    )
    batch = submit(openai, [line(n) for n in range(5)]).json
    assert [openai.get(f"/batches/{batch['id']}").status for _ in range(3)] == [404, 404, 200]
    openai.server.batches.advance(100)
    assert openai.get(f"/batches/{batch['id']}").json["status"] == "rebalancing"
    openai.server.batches.advance(100)
    rows = openai.get(f"/files/{openai.get('/batches/' + batch['id']).json['output_file_id']}/content").rows
    ids = [row["custom_id"] for row in rows]
    ours = [custom_id for custom_id in ids if custom_id.startswith("tag-")]
    assert (len(ids), len(ours), len(set(ours))) == (6, 5, 4)
    untouched = submit(openai, [line(n) for n in range(5)]).json
    openai.server.batches.advance(200)
    assert openai.get(f"/batches/{untouched['id']}").json["status"] == "completed"


def test_a_lost_reply_leaves_a_batch_behind_and_a_refused_one_none(serve):
    openai = serve("openai", faults=BatchFaults(first=1, lost_reply=True))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        submit(openai, [line(0)], metadata={"tag": "lost"})
    assert [batch["metadata"] for batch in openai.get("/batches").json["data"]] == [{"tag": "lost"}]
    refusing = serve("openai", faults=BatchFaults(first=1, refused=True))
    assert [submit(refusing, [line(0)]).status for _ in range(2)] == [400, 200]
    assert len(refusing.server.batches.books.uploads) == 2


def test_what_is_billed_and_then_expires_gives_nothing(serve):
    openai = serve("openai", faults=BatchFaults(bills_and_expires=True))
    batch = submit(openai, [line(n) for n in range(3)]).json
    openai.server.batches.advance(DAY)
    batch = openai.get(f"/batches/{batch['id']}").json
    assert (batch["status"], batch["output_file_id"]) == ("expired", None)
    assert len(openai.server.batches.books.billed) == 3


def test_results_can_be_half_a_line_or_gone(serve):
    for faults, status in ((BatchFaults(half_line=True), 200), (BatchFaults(output_gone=True), 404)):
        openai = serve("openai", faults=faults)
        batch = submit(openai, [line(n) for n in range(3)]).json
        openai.server.batches.advance(200)
        content = openai.get(f"/files/{openai.get('/batches/' + batch['id']).json['output_file_id']}/content")
        assert content.status == status
        assert not content.body.endswith(b"\n")


def test_the_books_tell_what_a_rehearsal_has_cost(serve):
    openai = serve("openai")
    submit(openai, [line(n, "x" * 400) for n in range(3)], metadata={"tag": "t"})
    openai.server.batches.advance(200)
    openai.get("/batches")
    books = openai.server.batches.books
    assert books.cost(input_price=1.0) == pytest.approx(0.5 * 300 / 1e6)
    assert books.paid_twice() == [billed.body for billed in books.billed[:1]]
    told = openai.get(openai.server.base_url.removesuffix("/v1") + "/batch-stats").json
    assert told["created"][0]["custom_ids"] == ["tag-0", "tag-1", "tag-2"]
    assert (told["created"][0]["label"], len(told["billed"]), told["uploads"][0]["lines"]) == ({"tag": "t"}, 3, 3)
