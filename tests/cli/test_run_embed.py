"""`asyncrun run` with embed jobs: what a user is promised about rows, second runs and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

Command = Callable[..., Any]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_notes(folder: Path, *texts: str) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in enumerate(texts, 1)))


def write_job(folder: Path, server: FakeServer, **more: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, **more.pop("embedder", {})}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out/vectors.jsonl", "embedder": embedder, **more}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def test_each_item_has_its_row_in_input_order(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two", "three")
    write_job(tmp_path, server)
    answer = asyncrun("run")
    assert answer.code == 0
    found = rows(tmp_path / "out/vectors.jsonl")
    assert [(row["id"], row["text"]) for row in found] == [("n1", "one"), ("n2", "two"), ("n3", "three")]
    assert all(len(row["embedding"]) == 8 and row["metadata"] == {} for row in found)
    assert "Trace:" in answer.out
    assert "notes" in answer.out


def test_a_second_run_sends_nothing_and_rewrites_nothing(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    write_job(tmp_path, server)
    assert asyncrun("run").code == 0
    sent, written = len(server.sent_texts), (tmp_path / "out/vectors.jsonl").stat()
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert len(server.sent_texts) == sent
    assert (tmp_path / "out/vectors.jsonl").stat() == written
    summary = answer.documents[-1]
    assert (summary["type"], summary["ok"], summary["cached"], summary["requests"]) == ("summary", 2, 2, 0)


def test_only_what_is_new_is_sent_and_what_left_the_input_leaves_the_output(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two", "three")
    write_job(tmp_path, server)
    asyncrun("run")
    server.requests.clear()
    write_notes(tmp_path, "three", "four")
    assert asyncrun("run").code == 0
    assert server.sent_texts == ["four"]
    assert [row["text"] for row in rows(tmp_path / "out/vectors.jsonl")] == ["three", "four"]


def test_edited_reordered_grown_and_shrunk_inputs_send_the_new_texts_alone(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server)
    texts = [f"text {number}" for number in range(8)]
    inputs = (
        ("first", texts, texts),
        ("edited", [*texts[:3], "text edited", *texts[4:]], ["text edited"]),
        ("reordered", texts[::-1], []),
        ("grown", [*texts[::-1], "text 8", "text 9"], ["text 8", "text 9"]),
        ("shrunk", texts[5:7], []),
        ("back again", texts, []),
    )
    for name, now, sent in inputs:
        server.requests.clear()
        write_notes(tmp_path, *now)
        [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
        assert (planned["new"], planned["unchanged"]) == (len(sent), len(now) - len(sent)), name
        assert asyncrun("run").code == 0
        assert sorted(server.sent_texts) == sorted(sent), name
        assert [row["text"] for row in rows(tmp_path / "out/vectors.jsonl")] == now, name


def test_a_text_that_stands_three_times_is_sent_once_and_written_three_times(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "same", "other", "same", "same")
    write_job(tmp_path, server)
    answer = asyncrun("run", "--json")
    assert sorted(server.sent_texts) == ["other", "same"]
    found = rows(tmp_path / "out/vectors.jsonl")
    assert [row["id"] for row in found] == ["n1", "n2", "n3", "n4"]
    assert found[0]["embedding"] == found[2]["embedding"] == found[3]["embedding"] != found[1]["embedding"]
    assert answer.documents[-1]["ok"] == 4


def test_deleting_the_output_alone_writes_it_again_without_sending(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    write_job(tmp_path, server)
    asyncrun("run")
    output = tmp_path / "out/vectors.jsonl"
    first = output.read_bytes()
    output.unlink()
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert output.read_bytes() == first
    assert server.sent_texts == []


def test_bad_lines_are_named_and_the_rest_goes_on(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    lines = [b'{"id": "a", "text": "good"}', b"not json", b'{"id": "b"}', b'{"id": "c", "text": "\xff\xfe"}', b'{"id": "d", "text": "  "}']
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join(lines))
    write_job(tmp_path, server)
    answer = asyncrun("run", "--json")
    assert answer.code == 3
    assert [row["id"] for row in rows(tmp_path / "out/vectors.jsonl")] == ["a"]
    failed = {document["line"]: document["reason"] for document in answer.documents if document["type"] == "item_failed"}
    assert failed == {2: "bad_record", 3: "bad_record", 4: "bad_text", 5: "empty"}
    assert answer.documents[-1]["status"] == "partial"
    told = asyncrun("run", "--quiet")
    assert told.code == 3
    assert "notes.jsonl:2" in told.err
    assert told.out == ""


def test_when_too_many_records_are_bad_nobody_is_asked(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\nno json\n')
    write_job(tmp_path, server, embedder={"space": "mine"}, max_failures=0)
    answer = asyncrun("run")
    assert answer.code == 1
    assert "1 of 2 items failed, 0 may (max_failures)" in answer.out
    assert server.requests == []


def test_past_max_failures_the_job_fails_and_its_former_output_stays(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    write_job(tmp_path, server, max_failures=1)
    asyncrun("run")
    former = (tmp_path / "out/vectors.jsonl").read_bytes()
    (tmp_path / "notes.jsonl").write_text("no\nno\n")
    answer = asyncrun("run")
    assert answer.code == 1
    assert "2 of 2 items failed, 1 may (max_failures)" in answer.out
    assert (tmp_path / "out/vectors.jsonl").read_bytes() == former


def test_a_text_that_the_server_refuses_fails_alone_and_is_not_sent_again(asyncrun: Command, tmp_path: Path) -> None:
    refusal = error(400, "this text is not allowed", when=lambda request: "poison" in request.texts, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_notes(tmp_path, "one", "two", "poison", "four", "five")
        write_job(tmp_path, server)
        answer = asyncrun("run")
        assert answer.code == 3
        assert "this text is not allowed" in answer.out
        assert [row["id"] for row in rows(tmp_path / "out/vectors.jsonl")] == ["n1", "n2", "n4", "n5"]
        server.requests.clear()
        assert asyncrun("run").code == 3
        assert server.sent_texts == []


def test_a_refused_key_stops_the_run_with_77(asyncrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-sentinel-of-this-test-0123456789")
    with FakeServer(faults=[error(401, "Incorrect API key provided: sk-sentinel-of-this-test-0123456789")]).in_thread() as server:
        write_notes(tmp_path, "one", "two", "three")
        write_job(tmp_path, server, embedder={"api_key": "${MY_KEY}"})
        answer = asyncrun("run")
    assert answer.code == 77
    assert len(server.requests) == 1
    assert "api_key in the job file" in answer.out
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"sk-sentinel" in file.read_bytes()]
    assert "sk-sentinel" not in answer.out + answer.err


def test_an_unreachable_endpoint_ends_with_75(asyncrun: Command, tmp_path: Path, unused_url: str) -> None:
    write_notes(tmp_path, "one")
    (tmp_path / "jobs.yaml").write_text(
        json.dumps(
            {
                "jobs": [
                    {
                        "name": "notes",
                        "kind": "embed",
                        "input": "notes.jsonl",
                        "output": "out.jsonl",
                        "embedder": {"provider": "openai", "model": "m", "base_url": unused_url},
                    }
                ]
            }
        )
    )
    answer = asyncrun("run")
    assert answer.code == 75
    assert "the connection is refused" in answer.out
    assert not (tmp_path / "out.jsonl").exists()


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(asyncrun: Command, tmp_path: Path) -> None:
    write_notes(tmp_path, "one")
    (tmp_path / "jobs.yaml").write_text(
        "jobs:\n  - {name: notes, kind: embed, input: notes.jsonl, output: o.jsonl, embedder: openai/text-embedding-3-small}\n"
    )
    answer = asyncrun("run")
    assert answer.code == 2
    assert "OPENAI_API_KEY" in answer.err
    assert not (tmp_path / "o.jsonl").exists()


def test_one_text_that_always_breaks_the_server_fails_alone(asyncrun: Command, tmp_path: Path) -> None:
    crash = error(500, "crash", when=lambda request: "poison" in request.texts, times=None)
    with FakeServer(faults=[crash]).in_thread() as server:
        write_notes(tmp_path, "one", "two", "three", "poison", "five", "six")
        write_job(tmp_path, server, embedder={"retry": {"attempts": 1}, "batch": {"max_items": 4}})
        answer = asyncrun("run", "--json")
    assert answer.code == 3
    assert [row["id"] for row in rows(tmp_path / "out/vectors.jsonl")] == ["n1", "n2", "n3", "n5", "n6"]
    assert [document["reason"] for document in answer.documents if document["type"] == "item_failed"] == ["server_error"]


def test_vectors_of_another_size_are_refused_and_the_output_stays(asyncrun: Command, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    with FakeServer(dimensions=8).in_thread() as server:
        write_job(tmp_path, server, embedder={"space": "mine"})
        assert asyncrun("run").code == 0
    former = (tmp_path / "out/vectors.jsonl").read_bytes()
    write_notes(tmp_path, "one", "two", "three")
    with FakeServer(dimensions=16).in_thread() as server:
        write_job(tmp_path, server, embedder={"space": "mine"})
        answer = asyncrun("run")
    assert answer.code == 1
    assert "16 numbers" in answer.out
    assert (tmp_path / "out/vectors.jsonl").read_bytes() == former


def test_other_columns_write_the_output_again_without_sending(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    write_job(tmp_path, server)
    asyncrun("run")
    server.requests.clear()
    write_job(tmp_path, server, output={"path": "out/vectors.jsonl", "columns": ["id"]})
    assert asyncrun("run").code == 0
    assert rows(tmp_path / "out/vectors.jsonl") == [{"id": "n1"}, {"id": "n2"}]
    assert server.requests == []


def test_what_a_broken_server_refuses_is_sent_again_when_it_is_mended(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two")
    write_job(tmp_path, server)
    server.faults.append(error(400, "backend not ready", times=None))
    assert asyncrun("run").code == 1
    server.faults.clear()
    assert asyncrun("run").code == 0
    assert [row["id"] for row in rows(tmp_path / "out/vectors.jsonl")] == ["n1", "n2"]


def test_job_files_of_one_folder_keep_their_failures_apart(asyncrun: Command, tmp_path: Path) -> None:
    refusal = error(400, "not allowed", when=lambda request: "poison" in request.texts, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        for name in ("a", "b"):
            write_notes(tmp_path, name, "fine", "poison")
            (tmp_path / "notes.jsonl").rename(tmp_path / f"{name}.jsonl")
            write_job(tmp_path, server, input=f"{name}.jsonl", output=f"{name}.out.jsonl")
            (tmp_path / "jobs.yaml").rename(tmp_path / f"{name}.yaml")
            assert asyncrun("run", f"{name}.yaml").code == 3
        for name in ("a", "b"):
            [item] = asyncrun("failed", f"{name}.yaml", "--json").documents[0]["items"]
            assert item["place"] == f"{name}.jsonl:3"


def test_a_text_that_was_cut_is_counted_also_when_it_is_not_sent_again(asyncrun: Command, tmp_path: Path) -> None:
    write_notes(tmp_path, "short", "word " * 600)
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    for cached in (0, 2):
        summary = asyncrun("run", "--json").documents[-1]
        assert (summary["ok"], summary["cached"], summary["truncated"]) == (2, cached, 1)


def test_requests_that_ended_the_run_are_counted(asyncrun: Command, tmp_path: Path) -> None:
    write_notes(tmp_path, "one", "two", "three")
    with FakeServer(faults=[error(401, "no such key", times=None)]).in_thread() as server:
        write_job(tmp_path, server)
        refused = asyncrun("run", "--json")
    assert (refused.code, refused.documents[-1]["requests"], len(server.requests)) == (77, 1, 1)
    with FakeServer(faults=[error(404, "no such model", when=lambda request: len(request.texts) == 1)]).in_thread() as server:
        write_job(tmp_path, server)
        late = asyncrun("run", "--json")
    summary = late.documents[-1]
    assert (late.code, summary["requests"], len(server.requests)) == (1, 2, 2)
    assert summary["tokens"] > 0


REFUSALS = {
    77: error(401, "no such key", when=lambda request: "text 9" in request.texts and len(request.texts) <= 4),
    75: error(429, "no credit", code="insufficient_quota", when=lambda request: "text 9" in request.texts and len(request.texts) <= 4),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_a_part_of_a_batch_got_before_the_key_or_the_credit_ended_is_kept(asyncrun: Command, tmp_path: Path, code: int) -> None:
    write_notes(tmp_path, *(f"text {number}" for number in range(10)))
    with FakeServer(max_items=4, faults=[REFUSALS[code]]).in_thread() as server:
        write_job(tmp_path, server)
        ended = asyncrun("run", "--json")
        assert (ended.code, ended.documents[-1]["ok"]) == (code, 6)
        server.requests.clear()
        again = asyncrun("run", "--json")
    assert (again.code, again.documents[-1]["ok"], again.documents[-1]["cached"]) == (0, 10, 6)
    assert sorted(server.sent_texts) == [f"text {number}" for number in (6, 7, 8, 9)]
    written = rows(tmp_path / "out/vectors.jsonl")
    assert [row["text"] for row in written] == [f"text {number}" for number in range(10)]
    assert all(row["embedding"] == pytest.approx(vector_of(row["text"]), abs=1e-6) for row in written)


def test_an_error_that_ends_all_batches_counts_its_requests_once(asyncrun: Command, tmp_path: Path) -> None:
    write_notes(tmp_path, *(f"text {number}" for number in range(20)))
    with FakeServer(latency=0.05, faults=[error(401, "no such key", times=None)]).in_thread() as server:
        write_job(tmp_path, server, embedder={"batch": {"max_items": 2}})
        refused = asyncrun("run", "--json")
    assert (refused.code, refused.documents[-1]["requests"], len(server.requests)) == (77, 1, 1)
