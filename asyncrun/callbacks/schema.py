"""What an event is: its id, its type, its payload's keys, and how it is kept and counted."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Any

from asyncrun.short_help import ShortHelp, ShortHelpEnum


def _sequence() -> Iterator[str]:
    prefix = os.urandom(6).hex()
    return map(f"{prefix}-%d".__mod__, count(1))


_ids = _sequence()


def new_id() -> str:
    """Return a string that no other event has, in this process or another.

    >>> new_id() == new_id()
    False
    """
    return next(_ids)


def _after_fork() -> None:
    global _ids  # noqa: PLW0603 - a forked child would go on with its parent's prefix and numbers
    _ids = _sequence()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


TIMESTAMP_FORMAT = "%m/%d/%Y, %H:%M:%S.%f"
"""How `CBEvent.time` is written."""

BASE_TRACE_EVENT = "root"
"""The parent of events that have no other, and the key of a trace map where reading begins."""


class CBEventType(str, Enum, metaclass=ShortHelpEnum):  # noqa: UP042 - programs written for LlamaIndex know str(CBEventType.LLM) as "CBEventType.LLM"
    """What happens between the start and the end of an event.

    >>> CBEventType.ASYNC_JOB.value
    'async_job'
    """

    CHUNKING = "chunking"
    NODE_PARSING = "node_parsing"
    EMBEDDING = "embedding"
    LLM = "llm"
    QUERY = "query"
    RETRIEVE = "retrieve"
    SYNTHESIZE = "synthesize"
    TREE = "tree"
    SUB_QUESTION = "sub_question"
    TEMPLATING = "templating"
    FUNCTION_CALL = "function_call"
    RERANKING = "reranking"
    EXCEPTION = "exception"
    AGENT_STEP = "agent_step"
    ASYNC_JOB = "async_job"
    ATTEMPT = "attempt"
    WAIT = "wait"


class EventPayload(str, Enum, metaclass=ShortHelpEnum):  # noqa: UP042 - as CBEventType
    """The keys of a payload; any other string may be a key too.

    >>> payload = {EventPayload.CHUNKS: ["a text"]}
    >>> payload["chunks"]
    ['a text']
    """

    DOCUMENTS = "documents"
    CHUNKS = "chunks"
    NODES = "nodes"
    PROMPT = "formatted_prompt"
    MESSAGES = "messages"
    COMPLETION = "completion"
    RESPONSE = "response"
    QUERY_STR = "query_str"
    SUB_QUESTION = "sub_question"
    EMBEDDINGS = "embeddings"
    TOP_K = "top_k"
    ADDITIONAL_KWARGS = "additional_kwargs"
    SERIALIZED = "serialized"
    FUNCTION_CALL = "function_call"
    FUNCTION_OUTPUT = "function_call_response"
    TOOL = "tool"
    MODEL_NAME = "model_name"
    TEMPLATE = "template"
    TEMPLATE_VARS = "template_vars"
    SYSTEM_PROMPT = "system_prompt"
    QUERY_WRAPPER_PROMPT = "query_wrapper_prompt"
    EXCEPTION = "exception"


LEAF_EVENTS = (CBEventType.CHUNKING, CBEventType.LLM, CBEventType.EMBEDDING)
"""Types of events that never have children."""


@dataclass
class CBEvent(metaclass=ShortHelp):
    """The start or the end of an event, as a handler keeps it.

    `time` is local time in TIMESTAMP_FORMAT. `tick` counts nanoseconds of a clock that only grows: the difference of two
    ticks is a duration, even when the wall clock jumps in between.

    >>> CBEvent(CBEventType.LLM, payload={"tokens": 3}, id_="one").payload
    {'tokens': 3}
    """

    event_type: CBEventType
    payload: dict[str, Any] | None = None
    time: str = ""
    id_: str = ""
    tick: int = field(default_factory=clock.perf_counter_ns, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Fill in time and id where they were not given."""
        if not self.time:
            age = clock.perf_counter_ns() - self.tick
            self.time = datetime.fromtimestamp((clock.time_ns() - age) / 1e9).strftime(TIMESTAMP_FORMAT)
        if not self.id_:
            self.id_ = new_id()


@dataclass
class EventStats:
    """How long events took: seconds in all and on average, over `total_count` pairs of start and end.

    >>> from asyncrun import CallbackManager, LlamaDebugHandler
    >>> debug = LlamaDebugHandler(print_trace_on_end=False)
    >>> with CallbackManager([debug]).event(CBEventType.QUERY):
    ...     pass
    >>> debug.get_event_time_info(CBEventType.QUERY).total_count
    1
    """

    total_secs: float
    average_secs: float
    total_count: int
