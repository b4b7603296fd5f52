"""Events: the values that LlamaIndex's programs compare, and what an event fills in by itself."""

from __future__ import annotations

import dataclasses
import multiprocessing
from datetime import datetime

from asyncrun.callbacks import LEAF_EVENTS, TIMESTAMP_FORMAT, CBEvent, CBEventType, EventPayload
from asyncrun.callbacks.schema import new_id


def test_types_have_the_values_that_are_written_down_elsewhere() -> None:
    assert [event_type.value for event_type in CBEventType] == [
        "chunking",
        "node_parsing",
        "embedding",
        "llm",
        "query",
        "retrieve",
        "synthesize",
        "tree",
        "sub_question",
        "templating",
        "function_call",
        "reranking",
        "exception",
        "agent_step",
        "async_job",
        "attempt",
        "wait",
    ]
    assert LEAF_EVENTS == (CBEventType.CHUNKING, CBEventType.LLM, CBEventType.EMBEDDING)


def test_types_and_payload_keys_equal_their_values() -> None:
    assert CBEventType("llm") is CBEventType.LLM == "llm"
    assert EventPayload.PROMPT == "formatted_prompt"
    assert str(CBEventType.LLM) == "CBEventType.LLM"


def test_an_event_knows_when_it_was_and_who_it_is() -> None:
    one, two = CBEvent(CBEventType.LLM), CBEvent(CBEventType.LLM)
    assert one.id_ != two.id_
    assert one.tick <= two.tick
    assert datetime.strptime(one.time, TIMESTAMP_FORMAT) <= datetime.now()


def test_what_is_given_is_kept() -> None:
    event = CBEvent(CBEventType.LLM, {"a": 1}, "01/02/2026, 03:04:05.000006", "mine")
    assert dataclasses.asdict(event) | {"tick": 0} == {
        "event_type": CBEventType.LLM,
        "payload": {"a": 1},
        "time": "01/02/2026, 03:04:05.000006",
        "id_": "mine",
        "tick": 0,
    }


def _send_id(queue: multiprocessing.SimpleQueue[str]) -> None:
    queue.put(new_id())


def test_a_forked_process_has_ids_of_its_own() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_send_id, args=(queue,))
    child.start()
    theirs = queue.get()
    child.join()
    queue.close()
    assert theirs.split("-")[0] != new_id().split("-")[0]
