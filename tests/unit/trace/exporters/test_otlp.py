"""OTLP/JSON: what the protocol's JSON mapping asks for, and the names of the semantic conventions."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from asyncrun.trace.exporters.otlp import otlp_document
from asyncrun.trace.run_record import RunRecord, Span
from tests.unit.trace.conftest import SpanMaker

NOW = 1_795_486_525.0


def spans_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    [resource] = json.loads(json.dumps(document))["resourceSpans"]
    [scope] = resource["scopeSpans"]
    return list(scope["spans"])


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


@pytest.mark.parametrize("trace", ["nightly", "failing"])
def test_every_field_is_as_the_json_mapping_has_it(trace: str, runs: list[RunRecord], request: pytest.FixtureRequest) -> None:
    spans = spans_of(otlp_document(runs[3], request.getfixturevalue(trace), NOW))
    ids = [span["spanId"] for span in spans]
    assert len(set(ids)) == len(ids)
    assert len({span["traceId"] for span in spans}) == 1
    for span in spans:
        assert re.fullmatch(r"(?!0+$)[0-9a-f]{32}", span["traceId"])
        assert re.fullmatch(r"(?!0+$)[0-9a-f]{16}", span["spanId"])
        assert span.get("parentSpanId") in {*ids, None}
        assert re.fullmatch(r"\d{19}", span["startTimeUnixNano"])
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert span["kind"] in (1, 3)
        assert span["status"]["code"] in (1, 2)
        for entry in span["attributes"]:
            [(kind, value)] = entry["value"].items()
            expected = {"stringValue": str, "boolValue": bool, "intValue": str, "doubleValue": float}[kind]
            assert type(value) is expected


def test_the_run_is_the_only_root_and_all_else_is_below_it(runs: list[RunRecord], nightly: list[Span]) -> None:
    root, *others = spans_of(otlp_document(runs[3], nightly, NOW))
    assert root["name"] == "asyncrun run"
    assert "parentSpanId" not in root
    assert len(others) == len(nightly)
    assert all("parentSpanId" in span for span in others)


def test_a_batch_on_a_worker_says_which_one(runs: list[RunRecord], maker: SpanMaker) -> None:
    maker.add("embedding", 0, 1, worker="node-1 pid 7", waits__ship=0.25)
    [_, batch] = spans_of(otlp_document(runs[3], maker.spans, NOW))
    assert attributes_of(batch)["asyncrun.worker"] == "node-1 pid 7"
    assert attributes_of(batch)["asyncrun.waits.ship"] == 0.25


def test_one_span_covers_an_operation_with_its_attempts_and_waits(runs: list[RunRecord], trying: list[Span]) -> None:
    spans = spans_of(otlp_document(runs[3], trying, NOW))
    assert {span["name"] for span in spans} == {
        "asyncrun run",
        "async_job embed-notes",
        "async_job ingest-notes",
        "embeddings",
        "node_parsing notes",
    }
    [batch, *_] = [attributes_of(span) for span in spans if span["name"] == "embeddings"]
    assert (batch["asyncrun.retries"], batch["asyncrun.waits.gate"], batch["asyncrun.waits.connect"]) == ("2", 2.0, 0.125)


def test_no_control_character_and_no_lone_surrogate_goes_out(runs: list[RunRecord], failing: list[Span]) -> None:
    text = json.dumps(otlp_document(runs[1], failing, NOW), ensure_ascii=False)
    text.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_one_embedding_span_under_both_conventions(runs: list[RunRecord], maker) -> None:
    job = maker.add("async_job", 0, 2, name="notes", tokens=9)
    maker.add(
        *("embedding", 0, 1, job),
        **{"model_name": "small", "provider": "mistral", "tokens": 9, "dimensions": 384, "server.address": "here", "retries": 2},
        response_model="small-2026-10",
    )
    _, outer, span = spans_of(otlp_document(runs[0], maker.spans, NOW))
    assert (span["name"], span["kind"], span["status"]) == ("embeddings small", 3, {"code": 1})
    assert attributes_of(span) == {
        "openinference.span.kind": "EMBEDDING",
        "asyncrun.type": "embedding",
        "asyncrun.status": "succeeded",
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2026-10",
        "embedding.model_name": "small",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.usage.input_tokens": "9",
        "llm.token_count.prompt": "9",
        "llm.token_count.total": "9",
        "gen_ai.embeddings.dimension.count": "384",
        "server.address": "here",
        "asyncrun.retries": "2",
    }
    # The job's sum would count every token twice.
    assert attributes_of(outer) == {
        "openinference.span.kind": "CHAIN",
        "asyncrun.type": "async_job",
        "asyncrun.name": "notes",
        "asyncrun.status": "succeeded",
        "asyncrun.tokens": "9",
    }


def test_one_chat_span_under_both_conventions(runs: list[RunRecord], maker) -> None:
    spoken = {"model_name": "gpt", "provider": "openai", "tokens": 9, "input_tokens": 7, "output_tokens": 2, "finish_reason": "stop"}
    maker.add("llm", 0, 1, max_tokens=50, response_model="gpt-2026-10", cached_tokens=5, reasoning_tokens=1, **spoken)
    _, span = spans_of(otlp_document(runs[0], maker.spans, NOW))
    assert (span["name"], span["kind"]) == ("chat gpt", 3)
    assert attributes_of(span) == {
        "openinference.span.kind": "LLM",
        "asyncrun.type": "llm",
        "asyncrun.status": "succeeded",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "gpt-2026-10",
        "gen_ai.request.max_tokens": "50",
        "llm.model_name": "gpt",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": "7",
        "gen_ai.usage.output_tokens": "2",
        "llm.token_count.prompt": "7",
        "gen_ai.usage.cache_read.input_tokens": "5",
        "llm.token_count.prompt_details.cache_read": "5",
        "llm.token_count.completion_details.reasoning": "1",
        "llm.token_count.completion": "2",
        "llm.token_count.total": "9",
        "gen_ai.response.finish_reasons": {"values": [{"stringValue": "stop"}]},
    }


def test_retrieval_and_failure(runs: list[RunRecord], maker) -> None:
    maker.add("retrieve", 0, 1, name="handbook", top_k=5)
    maker.add("embedding", 0, 1, status="failed", error__type="AuthError", error__message="no", provider="local")
    maker.add("llm", 0, None, status="failed", model_name="chatty")
    _, retrieval, failed, chat = spans_of(otlp_document(runs[0], maker.spans, NOW))
    assert retrieval["name"] == "retrieval handbook"
    expected = {"gen_ai.data_source.id": "handbook", "gen_ai.retrieval.top_k": "5", "openinference.span.kind": "RETRIEVER"}
    assert expected.items() <= attributes_of(retrieval).items()
    assert failed["status"] == {"code": 2, "message": "no"}
    assert failed["kind"] == 1
    assert attributes_of(failed)["error.type"] == "AuthError"
    assert chat["name"] == "chat chatty"
    assert attributes_of(chat)["asyncrun.unfinished"] is True


def test_a_run_has_the_same_ids_each_time_and_two_runs_never(runs: list[RunRecord], nightly: list[Span]) -> None:
    once, again, other = (spans_of(otlp_document(run, nightly, NOW)) for run in (runs[3], runs[3], runs[0]))
    assert once == again
    assert {span["spanId"] for span in once}.isdisjoint(span["spanId"] for span in other)
    assert once[0]["traceId"] != other[0]["traceId"]
