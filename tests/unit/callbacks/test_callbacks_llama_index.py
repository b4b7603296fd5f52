"""Ours inside LlamaIndex's manager and LlamaIndex's inside ours: either may be half of a program."""

from __future__ import annotations

import re

import pytest

from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler

pytestmark = pytest.mark.needs("llama-index")

PRINTED = r"\*{10}\nTrace: t\n    \|_CBEventType\.QUERY -> \S+ seconds\n      \|_CBEventType\.LLM -> \S+ seconds\n\*{10}\n"


def test_our_handler_inside_their_manager(capsys: pytest.CaptureFixture[str]) -> None:
    from llama_index.core.callbacks import CallbackManager as TheirManager
    from llama_index.core.callbacks import CBEventType as TheirType

    handler = LlamaDebugHandler(event_ends_to_ignore=[CBEventType.TREE])
    manager = TheirManager([handler])
    with manager.as_trace("t"), manager.event(TheirType.QUERY), manager.event(TheirType.LLM, payload={"in": 1}) as event:
        event.on_end(payload={"out": 2})
    assert re.fullmatch(PRINTED, capsys.readouterr().out)
    assert [part.payload for part in handler.get_llm_inputs_outputs()[0]] == [{"in": 1}, {"out": 2}]
    with manager.event(TheirType.TREE):
        pass
    assert len(handler.get_events(CBEventType.TREE)) == 1


def test_their_handler_inside_our_manager(capsys: pytest.CaptureFixture[str]) -> None:
    from llama_index.core.callbacks import CBEventType as TheirType
    from llama_index.core.callbacks import LlamaDebugHandler as TheirHandler

    handler = TheirHandler()
    manager = CallbackManager([handler])
    with manager.as_trace("t"), manager.event(CBEventType.QUERY), manager.event(CBEventType.LLM):
        pass
    assert re.fullmatch(PRINTED, capsys.readouterr().out)
    with pytest.raises(ValueError, match="odd"), manager.event(CBEventType.ASYNC_JOB), manager.event(TheirType.EMBEDDING):
        raise ValueError("odd")
    assert handler.get_event_time_info(CBEventType.ASYNC_JOB).total_count == 1
    [[_, end]] = handler.get_event_pairs(TheirType.EMBEDDING)
    assert isinstance((end.payload or {})[EventPayload.EXCEPTION], ValueError)


def test_both_print_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from llama_index.core.callbacks import LlamaDebugHandler as TheirHandler

    manager = CallbackManager([LlamaDebugHandler(), TheirHandler()])
    with manager.as_trace("t"), manager.event(CBEventType.QUERY), manager.event(CBEventType.LLM):
        pass
    lines = re.sub(r"-> \S+ seconds", "->", capsys.readouterr().out).splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_our_manager_is_taken_by_their_parts() -> None:
    from llama_index.core import MockEmbedding

    handler = LlamaDebugHandler(print_trace_on_end=False)
    embedding = MockEmbedding(embed_dim=4, callback_manager=CallbackManager([handler]))
    embedding.get_text_embedding_batch(["a", "b"])
    [[_, end]] = handler.get_event_pairs(CBEventType.EMBEDDING)
    assert (end.payload or {})[EventPayload.CHUNKS] == ["a", "b"]


def test_our_manager_is_told_of_their_language_models() -> None:
    from llama_index.core.llms import MockLLM

    handler = LlamaDebugHandler(print_trace_on_end=False)
    MockLLM(callback_manager=CallbackManager([handler])).complete("a question")
    [[start, _]] = handler.get_llm_inputs_outputs()
    assert (start.payload or {})[EventPayload.PROMPT] == "a question"
