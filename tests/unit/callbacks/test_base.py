"""The manager: who is told what, which event encloses which, and what a bad handler may not do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asyncrun.callbacks import BASE_TRACE_EVENT, BaseCallbackHandler, CallbackManager, CBEventType, EventPayload, current_manager


class Recording(BaseCallbackHandler):
    """Keeps every call that it gets."""

    def __init__(self, starts_to_ignore: tuple[CBEventType, ...] = (), ends_to_ignore: tuple[CBEventType, ...] = ()) -> None:
        super().__init__(starts_to_ignore, ends_to_ignore)
        self.starts: list[tuple[CBEventType, dict[str, Any] | None, str, str]] = []
        self.ends: list[tuple[CBEventType, dict[str, Any] | None, str]] = []
        self.extra: list[dict[str, Any]] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.traces: list[str] = []
        self.trace_map: dict[str, list[str]] | None = None

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.starts.append((event_type, payload, event_id, parent_id))
        self.extra.append(kwargs)
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        self.ends.append((event_type, payload, event_id))
        self.extra.append(kwargs)

    def on_event_error(self, event_id, error):
        self.errors.append((event_id, error))

    def start_trace(self, trace_id=None):
        self.traces.append(f"start {trace_id}")

    def end_trace(self, trace_id=None, trace_map=None):
        self.traces.append(f"end {trace_id}")
        self.trace_map = trace_map

    @property
    def parents(self) -> dict[str, str]:
        return {event_id: parent for _, _, event_id, parent in self.starts}


class Raising(Recording):
    """Raises from one of its methods."""

    def __init__(self, method: str, error: type[BaseException] = RuntimeError) -> None:
        super().__init__()

        def fail(*args: Any, **kwargs: Any) -> str:
            raise error("no disk for api_key=hunter2hunter2")

        setattr(self, method, fail)


def test_every_handler_is_told_of_start_and_end() -> None:
    one, two = Recording(), Recording()
    manager = CallbackManager([one, two])
    event_id = manager.on_event_start(CBEventType.CHUNKING, payload={"n": 1}, event_id="mine")
    manager.on_event_end(CBEventType.CHUNKING, payload={"n": 2}, event_id=event_id)
    assert event_id == "mine"
    for handler in (one, two):
        assert handler.starts == [(CBEventType.CHUNKING, {"n": 1}, "mine", BASE_TRACE_EVENT)]
        assert handler.ends == [(CBEventType.CHUNKING, {"n": 2}, "mine")]


def test_an_event_without_an_id_gets_one_of_its_own() -> None:
    manager = CallbackManager()
    ids = {manager.on_event_start(CBEventType.LLM) for _ in range(100)}
    assert len(ids) == 100
    assert all(isinstance(event_id, str) and event_id for event_id in ids)


def test_ignored_types_are_not_reported() -> None:
    handler = Recording((CBEventType.CHUNKING,), (CBEventType.LLM,))
    manager = CallbackManager([handler])
    for event_type in (CBEventType.CHUNKING, CBEventType.LLM, CBEventType.EMBEDDING):
        with manager.event(event_type):
            pass
    assert [event[0] for event in handler.starts] == [CBEventType.LLM, CBEventType.EMBEDDING]
    assert [event[0] for event in handler.ends] == [CBEventType.CHUNKING, CBEventType.EMBEDDING]


def test_further_keywords_reach_the_handlers() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    event_id = manager.on_event_start(CBEventType.LLM, tag="a")
    manager.on_event_end(CBEventType.LLM, event_id=event_id, tag="b")
    with manager.event(CBEventType.LLM) as event:
        event.on_end(tag="c")
    assert handler.extra == [{"tag": "a"}, {"tag": "b"}, {}, {"tag": "c"}]


def test_handlers_can_be_added_removed_and_set() -> None:
    one, two, three = Recording(), Recording(), Recording()
    manager = CallbackManager([one])
    manager.add_handler(two)
    manager.remove_handler(one)
    assert manager.handlers == [two]
    manager.set_handlers([three])
    manager.on_event_start(CBEventType.LLM)
    assert (len(one.starts), len(two.starts), len(three.starts)) == (0, 0, 1)


def test_the_parent_is_the_innermost_open_event() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.event(CBEventType.QUERY, event_id="query"):
        with manager.event(CBEventType.RETRIEVE, event_id="retrieve"), manager.event(CBEventType.EMBEDDING, event_id="embedding"):
            pass
        with manager.event(CBEventType.SYNTHESIZE, event_id="synthesize"):
            pass
    assert handler.parents == {"query": BASE_TRACE_EVENT, "retrieve": "query", "embedding": "retrieve", "synthesize": "query"}


def test_leaf_events_have_no_children() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.event(CBEventType.LLM, event_id="leaf"), manager.event(CBEventType.QUERY, event_id="other"):
        pass
    assert handler.parents["other"] == BASE_TRACE_EVENT


def test_a_given_parent_wins() -> None:
    handler = Recording()
    CallbackManager([handler]).on_event_start(CBEventType.LLM, event_id="x", parent_id="elsewhere")
    assert handler.parents == {"x": "elsewhere"}


def test_an_event_that_is_ended_twice_does_not_close_its_parent() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.event(CBEventType.QUERY, event_id="query"):
        manager.on_event_start(CBEventType.TREE, event_id="tree")
        manager.on_event_end(CBEventType.TREE, event_id="tree")
        manager.on_event_end(CBEventType.TREE, event_id="tree")
        manager.on_event_start(CBEventType.LLM, event_id="llm")
    assert handler.parents["llm"] == "query"


def test_an_end_without_an_id_closes_the_innermost_event() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    manager.on_event_start(CBEventType.QUERY, event_id="query")
    manager.on_event_end(CBEventType.QUERY)
    manager.on_event_end(CBEventType.QUERY)
    manager.on_event_start(CBEventType.LLM, event_id="next")
    assert handler.parents["next"] == BASE_TRACE_EVENT


def test_the_end_of_a_leaf_closes_nothing_else() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.event(CBEventType.QUERY, event_id="query"):
        manager.on_event_end(CBEventType.LLM)
        manager.on_event_start(CBEventType.LLM, event_id="llm")
    assert handler.parents["llm"] == "query"


def test_an_event_that_ends_before_its_children_closes_them_too() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    manager.on_event_start(CBEventType.QUERY, event_id="query")
    manager.on_event_start(CBEventType.TREE, event_id="tree")
    manager.on_event_end(CBEventType.QUERY, event_id="query")
    manager.on_event_start(CBEventType.LLM, event_id="next")
    assert handler.parents["next"] == BASE_TRACE_EVENT


def test_the_trace_map_names_the_children() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.as_trace("outer"), manager.event(CBEventType.QUERY, event_id="query"), manager.event(CBEventType.LLM, event_id="llm"):
        assert manager.trace_map == {BASE_TRACE_EVENT: ["query"], "query": ["llm"]}
    assert handler.trace_map == {BASE_TRACE_EVENT: ["query"], "query": ["llm"]} == manager.trace_map


def test_only_the_outermost_trace_is_reported() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.as_trace("outer"), manager.as_trace("inner"), manager.event(CBEventType.QUERY, event_id="query"):
        pass
    manager.start_trace()
    manager.end_trace()
    assert handler.traces == ["start outer", "end outer"]
    assert handler.trace_map == {BASE_TRACE_EVENT: ["query"]}


def test_a_new_trace_begins_with_an_empty_map() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    for event_id in ("one", "two"):
        with manager.as_trace("again"), manager.event(CBEventType.QUERY, event_id=event_id):
            pass
    assert handler.trace_map == {BASE_TRACE_EVENT: ["two"]}


def test_a_trace_inside_an_event_does_not_lose_the_events_stack() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with manager.event(CBEventType.QUERY, event_id="query"):
        with manager.as_trace("inside"), manager.event(CBEventType.TREE, event_id="tree"):
            pass
        manager.on_event_start(CBEventType.LLM, event_id="after")
    assert handler.parents == {"query": BASE_TRACE_EVENT, "tree": BASE_TRACE_EVENT, "after": "query"}


def test_a_managers_trace_inside_anothers_is_reported_to_its_own_handlers() -> None:
    one, two = Recording(), Recording()
    with CallbackManager([one]).as_trace("one"), CallbackManager([two]).as_trace("two"):
        pass
    assert (one.traces, two.traces) == (["start one", "end one"], ["start two", "end two"])


def test_without_a_handler_nothing_is_remembered() -> None:
    manager = CallbackManager()
    with manager.as_trace("long"):
        for _ in range(10):
            with manager.event(CBEventType.ASYNC_JOB):
                manager.on_event_end(CBEventType.ASYNC_JOB, event_id=manager.on_event_start(CBEventType.ASYNC_JOB))
        assert not manager.trace_map
    assert not manager.trace_map


def test_a_handler_that_needs_no_trace_map_has_none_kept() -> None:
    class Modest(Recording):
        uses_trace_map = False

    manager = CallbackManager([Modest()])
    with manager.event(CBEventType.QUERY):
        pass
    assert not manager.trace_map
    manager.add_handler(Recording())
    with manager.event(CBEventType.QUERY, event_id="seen"):
        pass
    assert manager.trace_map == {BASE_TRACE_EVENT: ["seen"]}


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
@pytest.mark.parametrize("method", ["on_event_start", "on_event_end", "on_event_error", "start_trace", "end_trace"])
def test_a_handler_that_raises_is_reported_once_and_switched_off(
    method: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Raising(method, error), Recording()
    manager = CallbackManager([bad, good])
    for _ in range(3):
        with pytest.raises(KeyError), manager.as_trace("t"), manager.event(CBEventType.QUERY):
            raise KeyError
    assert manager.handlers == [good]
    assert (len(good.starts), len(good.ends), len(good.errors), len(good.traces)) == (3, 3, 3, 6)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Raising is switched off" in caplog.text
    assert error.__name__ in caplog.text
    assert "hunter2" not in caplog.text


class Speechless(Exception):
    """Raises where it should say why it was raised."""

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


def test_a_handler_whose_error_cannot_even_be_told_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise Speechless

    bad, good = Recording(), Recording()
    bad.on_event_start = fail  # type: ignore[method-assign]
    manager = CallbackManager([bad, good])
    with manager.event(CBEventType.QUERY):
        pass
    assert (manager.handlers, len(good.ends)) == ([good], 1)
    assert "it raised Speechless" in caplog.text


def test_an_exception_outside_of_events_becomes_an_event() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    error = ValueError("odd")
    with pytest.raises(ValueError, match="odd"), manager.as_trace("t"):
        raise error
    assert [event[:2] for event in handler.starts] == [(CBEventType.EXCEPTION, {EventPayload.EXCEPTION: error})]
    assert handler.traces == ["start t", "end t"]


def test_an_exception_that_an_event_reported_is_not_reported_again() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    with pytest.raises(ValueError, match="odd"), manager.as_trace("t"), manager.event(CBEventType.QUERY):
        raise ValueError("odd")
    assert [event[0] for event in handler.starts] == [CBEventType.QUERY]


def test_the_current_manager_is_that_of_the_enclosing_event_or_trace() -> None:
    outer, inner = CallbackManager(), CallbackManager()
    assert current_manager() is None
    with outer.as_trace("t"):
        assert current_manager() is outer
        with inner.event(CBEventType.QUERY):
            assert current_manager() is inner
        assert current_manager() is outer
    assert current_manager() is None


@pytest.mark.asyncio
async def test_concurrent_tasks_do_not_mix_their_stacks() -> None:
    handler = Recording()
    manager = CallbackManager([handler])
    everyone_is_inside = asyncio.Barrier(3)

    async def job(name: str) -> None:
        with manager.event(CBEventType.ASYNC_JOB, event_id=name):
            await everyone_is_inside.wait()
            with manager.event(CBEventType.RETRIEVE, event_id=f"{name} retrieve"):
                await everyone_is_inside.wait()
                with manager.event(CBEventType.EMBEDDING, event_id=f"{name} embedding"):
                    await everyone_is_inside.wait()

    with manager.event(CBEventType.QUERY, event_id="caller"):
        await asyncio.gather(job("a"), job("b"), job("c"))
        manager.on_event_start(CBEventType.LLM, event_id="after")
    expected = {"caller": BASE_TRACE_EVENT, "after": "caller"}
    for name in "abc":
        expected |= {name: "caller", f"{name} retrieve": name, f"{name} embedding": f"{name} retrieve"}
    assert handler.parents == expected


@pytest.mark.asyncio
async def test_traces_of_concurrent_tasks_have_maps_of_their_own() -> None:
    maps: dict[str, dict[str, list[str]] | None] = {}

    class Keeping(Recording):
        def end_trace(self, trace_id=None, trace_map=None):
            maps[str(trace_id)] = trace_map

    manager = CallbackManager([Keeping()])
    both = asyncio.Barrier(2)

    async def job(name: str) -> None:
        with manager.as_trace(name):
            await both.wait()
            with manager.event(CBEventType.QUERY, event_id=f"{name} query"):
                await both.wait()

    await asyncio.gather(job("a"), job("b"))
    assert maps == {"a": {BASE_TRACE_EVENT: ["a query"]}, "b": {BASE_TRACE_EVENT: ["b query"]}}


def test_a_manager_can_be_a_field_of_a_pydantic_model() -> None:
    from pydantic import BaseModel

    class Holder(BaseModel):
        manager: CallbackManager

    manager = CallbackManager()
    assert Holder(manager=manager).manager is manager
