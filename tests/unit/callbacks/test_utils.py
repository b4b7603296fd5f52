"""`trace_method`: a trace around each call of a method."""

from __future__ import annotations

import logging

import pytest

from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, current_manager, trace_method


class Index:
    def __init__(self, manager: CallbackManager | None) -> None:
        if manager is not None:
            self.callback_manager = manager

    @trace_method("search")
    def search(self, query: str) -> str:
        """Search."""
        return self._told(query)

    @trace_method("asearch")
    async def asearch(self, query: str) -> str:
        return self._told(query)

    def _told(self, query: str) -> str:
        manager = current_manager()
        if manager is not None:
            with manager.event(CBEventType.QUERY):
                pass
        return query


@pytest.fixture
def debug() -> LlamaDebugHandler:
    return LlamaDebugHandler(print_trace_on_end=False)


def test_a_call_of_a_method_is_a_trace(debug: LlamaDebugHandler, capsys: pytest.CaptureFixture[str]) -> None:
    debug.print_trace_on_end = True
    assert Index(CallbackManager([debug])).search(query="why") == "why"
    assert "Trace: search\n    |_CBEventType.QUERY ->" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_a_coroutine_method_is_a_trace_until_it_has_returned(debug: LlamaDebugHandler, capsys: pytest.CaptureFixture[str]) -> None:
    debug.print_trace_on_end = True
    assert await Index(CallbackManager([debug])).asearch("why") == "why"
    assert "Trace: asearch\n    |_CBEventType.QUERY ->" in capsys.readouterr().out


def test_without_a_manager_the_method_runs_and_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Index(None).search("why") == "why"
    assert "Could not find attribute callback_manager" in caplog.text


def test_the_method_keeps_its_name_and_docstring() -> None:
    assert (Index.search.__name__, Index.search.__doc__) == ("search", "Search.")
