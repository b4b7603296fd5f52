"""The batch endpoints without a network: what they tell belongs to one moment, and the same calls have the same ids."""

import itertools
import json

from asyncrun.testing.batch_servers import BatchServers, ServerClock
from asyncrun.testing.faults import SeenRequest

LINES = b"".join(
    json.dumps({"custom_id": f"t-{n}", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": ["a"]}}).encode() + b"\n"
    for n in range(50)
)


class Vendor:
    def __init__(self, batches):
        self.batches = batches

    def ask(self, method, path, body=b"", **headers):
        request = SeenRequest(0, method, path, headers, body, 0.0)
        status, body, _ = self.batches.reply(request, "me", lambda *_: (200, {"usage": {"total_tokens": 1}}), known=True, origin="")
        assert status == 200, body
        return body

    def submit(self):
        head = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        head += b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        kind = {"content-type": "multipart/form-data; boundary=b"}
        file = json.loads(self.ask("POST", "/v1/files", head + LINES + b"\r\n--b--\r\n", **kind))["id"]
        document = {"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        return json.loads(self.ask("POST", "/v1/batches", json.dumps(document).encode()))["id"]


def test_what_is_told_of_a_batch_is_of_one_moment_however_fast_its_time_passes():
    ticks = itertools.count(1_800_000_000.0, 0.7)
    vendor = Vendor(BatchServers(clock=ServerClock(real=lambda: next(ticks)), seconds=20.0))
    batch_id = vendor.submit()
    for _ in range(100):
        batch = json.loads(vendor.ask("GET", f"/v1/batches/{batch_id}"))
        counts = batch["request_counts"]
        if batch["status"] in ("finalizing", "completed"):
            assert counts == {"total": 50, "completed": 50, "failed": 0}
    assert batch["status"] == "completed"


def test_the_same_seed_has_the_same_ids_and_the_same_order():
    def rehearse(seed):
        batches = BatchServers(clock=ServerClock(real=lambda: 1_800_000_000.0), seed=seed)
        vendor = Vendor(batches)
        batch_id = vendor.submit()
        batches.advance(1000)
        return vendor.ask("GET", f"/v1/files/{json.loads(vendor.ask('GET', f'/v1/batches/{batch_id}'))['output_file_id']}/content")

    assert rehearse(1) == rehearse(1) != rehearse(2)
