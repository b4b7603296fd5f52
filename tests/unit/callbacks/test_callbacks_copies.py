"""Managers and handlers can be copied and pickled: a copy has what was kept so far, and goes its own way from there."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from asyncrun.callbacks import (
    AsyncCallbackHandler,
    CallbackManager,
    CBEventType,
    EventContext,
    EventPayload,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from asyncrun.errors import ArgumentError

WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


class Telling(AsyncCallbackHandler):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(time_limit=5.0)
        self.told: list[str] = []

    async def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.told.append(event_id)

    async def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        pass


@pytest.fixture(params=WAYS)
def copied(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WAYS[request.param]


def play(manager: CallbackManager, *ids: str) -> None:
    with manager.as_trace("t"):
        for event_id in ids:
            with manager.event(CBEventType.QUERY, payload={"id": event_id}, event_id=event_id):
                pass


def ids(handler: LlamaDebugHandler) -> list[str]:
    return [pair[0].id_ for pair in handler.get_event_pairs()]


def test_a_token_counter_keeps_its_counts_and_counts_on_as_it_did(copied: Callable[[Any], Any]) -> None:
    manager = CallbackManager([TokenCountingHandler(token_budget=9)])
    for told in (manager, copied(manager)):
        with told.event(CBEventType.EMBEDDING) as event:
            event.on_end({EventPayload.CHUNKS: ["three small words"]})
        [counter] = told.handlers
        assert (counter.embedding_token_counts[-1].total_token_count, counter.token_budget) == (3, 9)


def test_a_debug_handler_keeps_its_events_and_goes_its_own_way(copied: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]) -> None:
    handler = LlamaDebugHandler([CBEventType.LLM], print_trace_on_end=False)
    play(CallbackManager([handler]), "before")
    twin = copied(handler)
    assert twin.get_events() == handler.get_events()
    assert twin.event_starts_to_ignore == (CBEventType.LLM,)
    twin.print_trace_map()
    handler.print_trace_map()
    first, second = capsys.readouterr().out.split("**********\n**********\n")
    assert first.strip("*\n") == second.strip("*\n") != ""
    play(CallbackManager([twin]), "copy")
    play(CallbackManager([handler]), "original")
    assert ids(twin) == ["before", "copy"]
    assert ids(handler) == ["before", "original"]


def test_a_manager_is_copied_with_its_handlers_while_a_trace_is_open(copied: Callable[[Any], Any]) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([handler])
    with manager.as_trace("t"), manager.event(CBEventType.QUERY, event_id="outer"):
        twin = copied(manager)
        assert isinstance(twin.handlers[0], LlamaDebugHandler)
        assert ids(twin.handlers[0]) == ["outer"]
        assert dict(twin.trace_map) == {}
    play(twin, "later")
    assert "later" in ids(twin.handlers[0])
    # As with LlamaIndex: a shallow copy tells the same handlers.
    assert (twin.handlers[0] is handler) == (copied is copy.copy)


def test_an_asynchronous_handler_at_work_is_copied_without_its_thread(copied: Callable[[Any], Any]) -> None:
    manager = CallbackManager([Telling()])
    play(manager, "before")
    manager.flush()
    twin = copied(manager)
    handler: Any = twin.handlers[0]
    play(twin, "later")
    twin.close()
    manager.close()
    assert handler.told == ["before", "later"]
    assert handler.time_limit == 5.0


def test_a_derived_manager_keeps_what_it_has(copied: Callable[[Any], Any]) -> None:
    manager = Named("mine")
    assert (copied(manager).name, copied(manager).handlers) == ("mine", [])


def test_an_event_that_is_open_can_be_copied(copied: Callable[[Any], Any]) -> None:
    manager = CallbackManager([LlamaDebugHandler(print_trace_on_end=False)])
    with manager.event(CBEventType.QUERY, event_id="mine") as event:
        assert isinstance(copied(event), EventContext)
        assert copied(event).event_id == "mine"


class Named(CallbackManager):
    """A manager with a name."""

    def __init__(self, name: str) -> None:
        super().__init__([])
        self.name = name


OF_EVERY_KIND = [CallbackManager(), LlamaDebugHandler(print_trace_on_end=False), TokenCountingHandler(str.split), Telling()]


def pickled_elsewhere(thing: Any, **changed: Any) -> bytes:
    """Return the pickle of a thing as a version writes it that lacks what is None here, and has more besides."""
    (state,) = [part for part in thing.__reduce_ex__(2) if isinstance(part, dict)]
    held = {name: value for name, value in {**state, **changed}.items() if value is not None or name not in changed}
    return pickle.dumps(Rebuilt(type(thing), held))


class Rebuilt:
    """Is pickled as an object of a class, with any state."""

    def __init__(self, kind: type, state: dict[str, Any]) -> None:
        self.kind, self.state = kind, state

    def __reduce__(self) -> Any:
        return object.__new__, (self.kind,), self.state


@pytest.mark.parametrize("thing", OF_EVERY_KIND, ids=lambda thing: type(thing).__name__)
def test_a_pickle_of_a_version_that_kept_more_is_read(thing: Any) -> None:
    read = pickle.loads(pickled_elsewhere(thing, of_later=1))
    manager = read if isinstance(read, CallbackManager) else CallbackManager([read])
    play(manager, "x")
    assert manager.flush()
    assert manager.handlers == ([] if manager is read else [read])
    manager.close()


@pytest.mark.parametrize(
    ("thing", "lacking"),
    [
        (OF_EVERY_KIND[0], "handlers"),
        (OF_EVERY_KIND[1], "events"),
        (OF_EVERY_KIND[1], "event_ends_to_ignore"),
        (OF_EVERY_KIND[2], "token_budget"),
        (OF_EVERY_KIND[3], "time_limit"),
    ],
)
def test_a_pickle_of_a_version_that_kept_less_says_so_when_it_is_read(thing: Any, lacking: str) -> None:
    sentence = f"^this {type(thing).__name__} was pickled by another version of asyncrun, without {lacking}$"
    with pytest.raises(ArgumentError, match=sentence) as caught:
        pickle.loads(pickled_elsewhere(thing, **{lacking: None}))
    assert "Make it anew" in str(caught.value.hint)
