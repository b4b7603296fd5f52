"""What LlamaIndex tests of its debug handler, its token counter and its budget, of ours, which are imported from the same places."""

from __future__ import annotations

import importlib

import pytest

from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.llama_debug import LlamaDebugHandler
from asyncrun.callbacks.pythonically_printing_base_handler import PythonicallyPrintingBaseHandler
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.callbacks.token_counting import TokenCountingHandler

PLACES = (
    "async_utils",
    "callbacks",
    "callbacks.base",
    "callbacks.base_handler",
    "callbacks.llama_debug",
    "callbacks.pythonically_printing_base_handler",
    "callbacks.schema",
    "callbacks.token_counting",
    "callbacks.utils",
)
TRICKS_OF_THEIRS = {
    "asyncio_module",
    "get_asyncio_module",
    "get_llm_token_counts",
    "get_tokens_from_response",
}
"""What their functions call, and no program of a user does."""


@pytest.mark.needs("llama-index")
@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_where_llama_index_has_it(place: str) -> None:
    theirs, ours = importlib.import_module(f"llama_index.core.{place}"), importlib.import_module(f"asyncrun.{place}")
    public = {name for name, value in vars(theirs).items() if name[0] != "_" and (isinstance(value, type) or callable(value))}
    defined = {name for name in public if getattr(vars(theirs)[name], "__module__", "").startswith(f"llama_index.core.{place}")}
    assert defined - TRICKS_OF_THEIRS
    assert [name for name in sorted(defined - TRICKS_OF_THEIRS) if not hasattr(ours, name)] == []


@pytest.fixture
def debug() -> LlamaDebugHandler:
    return LlamaDebugHandler(print_trace_on_end=False)


def test_the_debug_handler_is_a_printing_handler(debug: LlamaDebugHandler) -> None:
    assert isinstance(debug, PythonicallyPrintingBaseHandler)


def test_a_start_is_kept_under_its_id_and_type(debug: LlamaDebugHandler) -> None:
    assert debug.on_event_start(CBEventType.LLM, payload={"one": 1}, event_id="mine") == "mine"
    assert [event.payload for event in debug.event_pairs_by_type[CBEventType.LLM]] == [{"one": 1}]
    assert (len(debug.event_pairs_by_type), len(debug.sequential_events)) == (1, 1)


def test_an_end_is_kept_under_its_id_and_type(debug: LlamaDebugHandler) -> None:
    debug.on_event_end(CBEventType.EMBEDDING, payload={"one": 1}, event_id="mine")
    assert [(event.id_, event.payload) for event in debug.event_pairs_by_type[CBEventType.EMBEDDING]] == [("mine", {"one": 1})]
    assert (len(debug.event_pairs_by_type), len(debug.sequential_events)) == (1, 1)


def test_a_start_and_its_end_make_one_duration(debug: LlamaDebugHandler) -> None:
    debug.on_event_end(CBEventType.CHUNKING, event_id=debug.on_event_start(CBEventType.CHUNKING))
    stats = debug.get_event_time_info(CBEventType.CHUNKING)
    assert stats.total_count == 1
    assert stats.total_secs > 0


def test_flushing_forgets_all_events(debug: LlamaDebugHandler) -> None:
    for _ in range(2):
        debug.on_event_end(CBEventType.CHUNKING, event_id=debug.on_event_start(CBEventType.CHUNKING))
    assert len(debug.event_pairs_by_type[CBEventType.CHUNKING]) == 4
    debug.flush_event_logs()
    assert (len(debug.event_pairs_by_type), len(debug.sequential_events)) == (0, 0)


def test_starts_and_ends_of_some_types_can_be_ignored() -> None:
    debug = LlamaDebugHandler(event_starts_to_ignore=[CBEventType.CHUNKING], event_ends_to_ignore=[CBEventType.LLM])
    manager = CallbackManager([debug])
    for kind in (CBEventType.CHUNKING, CBEventType.LLM, CBEventType.EMBEDDING):
        manager.on_event_end(kind, event_id=manager.on_event_start(kind))
    assert len(debug.sequential_events) == 4


PAYLOAD = {"chunks": ["one"], "formatted_prompt": "two", "response": "three"}


def test_a_start_counts_no_token_and_returns_its_id() -> None:
    counter = TokenCountingHandler()
    for kind in (CBEventType.LLM, CBEventType.EMBEDDING):
        assert counter.on_event_start(kind, payload=PAYLOAD, event_id="mine") == "mine"
    assert (counter.llm_token_counts, counter.embedding_token_counts) == ([], [])


def test_an_end_counts_prompt_and_response_or_what_was_embedded() -> None:
    counter = TokenCountingHandler()
    counter.on_event_end(CBEventType.LLM, payload=PAYLOAD, event_id="mine")
    assert ([count.total_token_count for count in counter.llm_token_counts], counter.embedding_token_counts) == ([2], [])
    counter.on_event_end(CBEventType.EMBEDDING, payload=PAYLOAD, event_id="mine")
    assert [count.total_token_count for count in counter.embedding_token_counts] == [1]
    assert (counter.total_llm_token_count, counter.total_embedding_token_count) == (2, 1)


def test_a_budget_that_is_passed_is_a_value_error_in_the_handler_and_through_the_manager() -> None:
    answered = {EventPayload.PROMPT: "a prompt", EventPayload.COMPLETION: "an answer"}
    counter = TokenCountingHandler(tokenizer=lambda text: range(5), token_budget=15)
    counter.on_event_end(CBEventType.LLM, payload=answered)
    with pytest.raises(ValueError, match="20 tokens, of 15"):
        counter.on_event_end(CBEventType.LLM, payload=answered)
    manager = CallbackManager([TokenCountingHandler(tokenizer=lambda text: range(5), token_budget=15)])
    manager.on_event_end(CBEventType.LLM, payload=answered)
    with pytest.raises(ValueError, match="20 tokens, of 15"):
        manager.on_event_end(CBEventType.LLM, payload=answered)
