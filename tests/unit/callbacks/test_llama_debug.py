"""The debug handler: what it keeps, how it counts, and what it prints."""

from __future__ import annotations

import logging
import re
from datetime import datetime

import pytest

from asyncrun.callbacks import TIMESTAMP_FORMAT, CallbackManager, CBEventType, EventStats, LlamaDebugHandler


def quiet() -> LlamaDebugHandler:
    return LlamaDebugHandler(print_trace_on_end=False)


def pair(handler: LlamaDebugHandler, event_type: CBEventType, event_id: str = "") -> None:
    event_id = handler.on_event_start(event_type, payload={"in": 1}, event_id=event_id)
    handler.on_event_end(event_type, payload={"out": 2}, event_id=event_id)


def test_a_start_is_kept_by_type_by_id_and_in_order() -> None:
    handler = quiet()
    assert handler.on_event_start(CBEventType.LLM, payload={"in": 1}, event_id="mine") == "mine"
    [event] = handler.sequential_events
    assert handler.event_pairs_by_type == {CBEventType.LLM: [event]}
    assert handler.events_pairs_by_id == {"mine": [event]}
    assert (event.event_type, event.payload, event.id_) == (CBEventType.LLM, {"in": 1}, "mine")


def test_an_end_alone_is_kept_too() -> None:
    handler = quiet()
    handler.on_event_end(CBEventType.EMBEDDING, payload={"out": 1}, event_id="mine")
    [event] = handler.get_events(CBEventType.EMBEDDING)
    assert (event.payload, event.id_) == ({"out": 1}, "mine")


def test_the_time_of_an_event_is_the_time_of_the_call() -> None:
    handler = quiet()
    before = datetime.now()
    handler.on_event_start(CBEventType.LLM)
    after = datetime.now()
    # Written out when it is asked for, and rounded to a microsecond.
    seen = datetime.strptime(handler.get_events()[0].time, TIMESTAMP_FORMAT)
    assert (seen - before).total_seconds() > -0.01
    assert (seen - after).total_seconds() < 0.01


def test_pairs_are_those_of_one_type_or_of_all_by_their_start() -> None:
    handler = quiet()
    handler.on_event_start(CBEventType.QUERY, event_id="query")
    pair(handler, CBEventType.LLM, "llm")
    handler.on_event_end(CBEventType.QUERY, event_id="query")
    assert [[event.id_ for event in events] for events in handler.get_event_pairs()] == [["query", "query"], ["llm", "llm"]]
    assert [[event.payload for event in events] for events in handler.get_llm_inputs_outputs()] == [[{"in": 1}, {"out": 2}]]
    assert handler.get_event_pairs(CBEventType.TREE) == []


def test_time_info_counts_pairs_and_sums_their_seconds() -> None:
    handler = quiet()
    pair(handler, CBEventType.CHUNKING)
    pair(handler, CBEventType.CHUNKING)
    stats = handler.get_event_time_info(CBEventType.CHUNKING)
    assert stats.total_count == 2
    assert stats.total_secs > 0
    assert stats.average_secs == stats.total_secs / 2
    assert handler.get_event_time_info(CBEventType.LLM) == EventStats(0.0, 0.0, 0)


def test_flush_forgets_everything() -> None:
    handler = quiet()
    pair(handler, CBEventType.CHUNKING)
    assert len(handler.event_pairs_by_type[CBEventType.CHUNKING]) == 2
    pair(handler, CBEventType.LLM)
    handler.flush_event_logs()
    assert not handler.event_pairs_by_type
    assert not handler.sequential_events


def test_ignored_starts_and_ends_are_not_kept() -> None:
    handler = LlamaDebugHandler(event_starts_to_ignore=[CBEventType.CHUNKING], event_ends_to_ignore=[CBEventType.LLM])
    manager = CallbackManager([handler])
    for event_type in (CBEventType.CHUNKING, CBEventType.LLM, CBEventType.EMBEDDING):
        manager.on_event_end(event_type, event_id=manager.on_event_start(event_type))
    assert len(handler.sequential_events) == 4


PRINTED = r"""\*{10}
Trace: nightly
    \|_CBEventType\.QUERY -> [0-9.e-]+ seconds
      \|_CBEventType\.RETRIEVE -> [0-9.e-]+ seconds
        \|_CBEventType\.EMBEDDING -> [0-9.e-]+ seconds
      \|_CBEventType\.LLM -> [0-9.e-]+ seconds
    \|_CBEventType\.ASYNC_JOB -> [0-9.e-]+ seconds
\*{10}
"""


def play(manager: CallbackManager) -> None:
    with manager.as_trace("nightly"):
        with manager.event(CBEventType.QUERY):
            with manager.event(CBEventType.RETRIEVE), manager.event(CBEventType.EMBEDDING):
                pass
            with manager.event(CBEventType.LLM):
                pass
        with manager.event(CBEventType.ASYNC_JOB):
            pass


def test_the_trace_map_is_printed_at_the_end_of_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    play(CallbackManager([LlamaDebugHandler()]))
    assert re.fullmatch(PRINTED, capsys.readouterr().out)


def test_the_trace_map_can_be_printed_later(capsys: pytest.CaptureFixture[str]) -> None:
    handler = quiet()
    play(CallbackManager([handler]))
    assert capsys.readouterr().out == ""
    handler.print_trace_map()
    assert re.fullmatch(PRINTED, capsys.readouterr().out)


def test_a_logger_gets_the_trace_map_instead_of_stdout(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="traces")
    play(CallbackManager([LlamaDebugHandler(logger=logging.getLogger("traces"))]))
    assert capsys.readouterr().out == ""
    assert re.fullmatch(PRINTED, "".join(f"{message}\n" for message in caplog.messages))


def test_a_trace_deeper_than_the_recursion_limit_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    manager = CallbackManager([LlamaDebugHandler()])
    with manager.as_trace("deep"):
        ids = [manager.on_event_start(CBEventType.TREE) for _ in range(1500)]
        for event_id in reversed(ids):
            manager.on_event_end(CBEventType.TREE, event_id=event_id)
    assert len(capsys.readouterr().out.splitlines()) == 1503
