"""The fake batch jobs of Mistral: their words, their metadata, their results after the whole job."""

from dataclasses import replace

from asyncrun.testing.batch_servers import BatchFaults
from asyncrun.testing.batch_servers.mistral import MistralDesk

HOUR = 3600


def line(number, text=None):
    return {"custom_id": f"tag-{number}", "body": {"input": [f"text {number}" if text is None else text]}}


def submit(mistral, rows, **other):
    file_id = mistral.upload(rows, purpose="batch").json["id"]
    return mistral.post("/batch/jobs", {"input_files": [file_id], "endpoint": "/v1/embeddings", "model": "m", **other})


def test_a_job_goes_through_its_states_and_gives_its_results_at_the_end(serve):
    mistral = serve("mistral")
    job, found = submit(mistral, [line(0), line(1), line(2, "")], metadata={"tag": "abc"}).json, []
    for _ in range(70):
        seen = mistral.get(f"/batch/jobs/{job['id']}").json
        found.append(seen["status"])
        assert (seen["output_file"] is not None) == (seen["status"] == "SUCCESS")
        mistral.server.batches.advance(3)
    assert list(dict.fromkeys(found)) == ["QUEUED", "RUNNING", "SUCCESS"]
    job = mistral.get(f"/batch/jobs/{job['id']}").json
    assert (job["total_requests"], job["succeeded_requests"], job["failed_requests"]) == (3, 2, 1)
    rows = {row["custom_id"]: row for row in mistral.get(f"/files/{job['output_file']}/content").rows}
    assert rows["tag-1"]["response"]["body"] == mistral.post("/embeddings", {"model": "m", "input": ["text 1"]}).json
    [wrong] = mistral.get(f"/files/{job['error_file']}/content").rows
    assert (wrong["custom_id"], wrong["response"]["status_code"]) == ("tag-2", 400)
    inline = mistral.get(f"/batch/jobs/{job['id']}?inline=true").json["outputs"]
    assert {row["custom_id"] for row in inline} == {"tag-0", "tag-1"}


def test_the_list_can_be_asked_by_metadata_and_has_pages(serve):
    mistral = serve("mistral")
    made = [submit(mistral, [line(0)], metadata={"tag": tag}).json["id"] for tag in ("a", "b", "a")]
    assert [job["id"] for job in mistral.get("/batch/jobs?tag=a").json["data"]] == [made[2], made[0]]
    page = mistral.get("/batch/jobs?page=1&page_size=2&order_by=-created").json
    assert ([job["id"] for job in page["data"]], page["total"]) == ([made[0]], 3)


def test_a_job_runs_into_its_timeout_is_cancelled_and_deleted(serve):
    mistral = serve("mistral", faults=BatchFaults(first=1, stragglers=0.5))
    late, cancelled = submit(mistral, [line(0), line(1)], timeout_hours=2).json, submit(mistral, [line(0)]).json
    assert mistral.post(f"/batch/jobs/{cancelled['id']}/cancel").json["status"] == "CANCELLATION_REQUESTED"
    mistral.server.batches.advance(2 * HOUR)
    assert mistral.get(f"/batch/jobs/{cancelled['id']}").json["status"] == "CANCELLED"
    late = mistral.get(f"/batch/jobs/{late['id']}").json
    assert (late["status"], late["succeeded_requests"]) == ("TIMEOUT_EXCEEDED", 1)
    assert mistral.call("DELETE", f"/batch/jobs/{late['id']}").json == {"id": late["id"], "object": "batch", "deleted": True}
    assert mistral.get(f"/batch/jobs/{late['id']}").status == 404


def test_what_is_wrong_with_a_job_is_told_at_once_and_what_is_wrong_with_a_file_later(serve):
    mistral = serve("mistral", terms={"mistral": replace(MistralDesk.terms, waiting=3)})
    assert submit(mistral, [line(0)], endpoint="/v1/other").json["detail"][0]["loc"] == ["body", "endpoint"]
    assert submit(mistral, [line(0)], timeout_hours=200).status == 422
    job = submit(mistral, b'{"custom_id": "tag-0"').json
    mistral.server.batches.advance(200)
    job = mistral.get(f"/batch/jobs/{job['id']}").json
    assert (job["status"], len(job["errors"])) == ("FAILED", 1)
    assert [submit(mistral, [line(0), line(1)]).status for _ in range(2)] == [200, 429]


def test_requests_can_come_with_the_job(serve):
    mistral = serve("mistral")
    job = mistral.post("/batch/jobs", {"requests": [line(0)], "endpoint": "/v1/embeddings", "model": "m"}).json
    mistral.server.batches.advance(200)
    assert mistral.get(f"/batch/jobs/{job['id']}").json["succeeded_requests"] == 1
    assert serve("mistral", known_key="right").get("/batch/jobs").json == {"detail": "Unauthorized"}
