"""The fake batches of Gemini: files in two steps, operations, and nothing after two days."""

import pytest

from asyncrun.testing.batch_servers import BatchFaults

DAY = 86_400


def upload(gemini, rows, name="asyncrun-abc"):
    import json

    begin = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    base = gemini.url.removesuffix("/v1beta")
    begun = gemini.post(f"{base}/upload/v1beta/files", {"file": {"displayName": name}}, headers=begin)
    address = {key.lower(): value for key, value in begun.headers.items()}["x-goog-upload-url"]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    finish = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0", gemini.header: "no key"}
    return gemini.call("POST", address, body=content, headers=finish).json["file"]["name"]


def embedding(number):
    return {"key": f"tag-{number}", "request": {"model": "models/e", "content": {"parts": [{"text": f"text {number}"}]}}}


def question(number, text):
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {"key": f"tag-{number}", "request": {"systemInstruction": {"parts": [{"text": "Be terse."}]}, "contents": contents}}


def submit(gemini, rows, action="asyncBatchEmbedContent", model="e", name="asyncrun-abc"):
    config = {"fileName": upload(gemini, rows)}
    return gemini.post(f"/models/{model}:{action}", {"batch": {"displayName": name, "inputConfig": config}}).json


def download(gemini, operation):
    base = gemini.url.removesuffix("/v1beta")
    return gemini.get(f"{base}/download/v1beta/{operation['response']['responsesFile']}:download?alt=media")


def test_an_operation_goes_through_its_states_and_its_vectors_are_those_of_online(serve):
    gemini = serve("gemini", header="x-goog-api-key")
    operation, found = submit(gemini, [embedding(n) for n in range(5)]), []
    for _ in range(70):
        seen = gemini.get(f"/{operation['name']}").json
        found.append((seen["metadata"]["state"], seen.get("done", False)))
        gemini.server.batches.advance(3)
    assert list(dict.fromkeys(found)) == [
        ("BATCH_STATE_PENDING", False),
        ("BATCH_STATE_RUNNING", False),
        ("BATCH_STATE_SUCCEEDED", True),
    ]
    operation = gemini.get(f"/{operation['name']}").json
    assert operation["metadata"]["displayName"] == "asyncrun-abc"
    assert operation["metadata"]["batchStats"] == {"requestCount": "5", "successfulRequestCount": "5"}
    assert operation["metadata"]["output"] == operation["response"]
    rows = {row["key"]: row for row in download(gemini, operation).rows}
    online = gemini.post("/models/e:batchEmbedContents", {"requests": [embedding(3)["request"]]}).json
    assert [rows["tag-3"]["response"]["embedding"]] == online["embeddings"]


def test_answers_are_those_of_online_in_its_own_form(serve):
    gemini = serve("gemini", header="x-goog-api-key")
    operation = submit(gemini, [question(0, "Why?"), {"key": "tag-1", "request": {"contents": []}}], "batchGenerateContent", "g")
    gemini.server.batches.advance(200)
    rows = {row["key"]: row for row in download(gemini, gemini.get(f"/{operation['name']}").json).rows}
    messages = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Why?"}]
    online = gemini.post("/openai/chat/completions", {"model": "g", "messages": messages}).json["choices"][0]
    candidate = rows["tag-0"]["response"]["candidates"][0]
    assert candidate == {
        "content": {"parts": [{"text": online["message"]["content"]}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    }
    assert rows["tag-1"]["error"]["code"] == 3


def test_after_two_days_all_is_lost(serve):
    gemini = serve("gemini", header="x-goog-api-key", faults=BatchFaults(stragglers=0.2))
    operation = submit(gemini, [embedding(n) for n in range(5)])
    gemini.server.batches.advance(2 * DAY)
    operation = gemini.get(f"/{operation['name']}").json
    assert (operation["metadata"]["state"], operation["done"], "response" in operation) == ("BATCH_STATE_EXPIRED", True, False)


def test_the_list_has_pages_and_batches_are_cancelled_and_deleted(serve):
    gemini = serve("gemini", header="x-goog-api-key")
    made = [submit(gemini, [embedding(0)], name=f"n{n}")["name"] for n in range(3)]
    first = gemini.get("/batches?pageSize=2").json
    rest = gemini.get(f"/batches?pageSize=2&pageToken={first['nextPageToken']}").json
    assert [operation["name"] for operation in first["operations"] + rest["operations"]] == made[::-1]
    assert "nextPageToken" not in rest
    assert gemini.post(f"/{made[0]}:cancel").json == {}
    gemini.server.batches.advance(60)
    assert gemini.get(f"/{made[0]}").json["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    assert gemini.call("DELETE", f"/{made[0]}").json == {}
    assert gemini.get(f"/{made[0]}").json["error"]["status"] == "NOT_FOUND"


def test_a_file_that_is_gone_or_somebody_elses_is_forbidden(serve):
    gemini = serve("gemini", header="x-goog-api-key")
    name = upload(gemini, [embedding(0)])
    assert gemini.get(f"/{name}").json["sizeBytes"]
    gemini.key = "another"
    assert gemini.get(f"/{name}").status == 403
    gemini.key = "mine"
    gemini.server.batches.advance(2 * DAY)
    assert gemini.get(f"/{name}").json["error"]["status"] == "PERMISSION_DENIED"
    strict = serve("gemini", header="x-goog-api-key", known_key="right").get("/batches")
    assert (strict.status, strict.json["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("path", ["/gemini/v1beta/batches", "/v1beta/batches"])
def test_its_own_paths_are_known_without_a_name_in_front(serve, path):
    gemini = serve("gemini", header="x-goog-api-key")
    submit(gemini, [embedding(0)])
    assert len(gemini.get(gemini.server.base_url.removesuffix("/v1") + path).json["operations"]) == 1
