"""Users who check their types strictly can derive handlers and decorate functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

USERS = """
from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from asyncrun import BaseCallbackHandler, CallbackManager, CBEventType, LlamaDebugHandler, StopRunError
from asyncrun.callbacks import AsyncCallbackHandler


class Posting(AsyncCallbackHandler):
    async def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> None:
        raise StopRunError("enough")

    async def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None: ...

    async def start_trace(self, trace_id: str | None = None) -> None: ...

    async def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None: ...

    async def on_event_error(self, event_id: str, error: BaseException) -> None: ...


class Counting(BaseCallbackHandler):
    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None: ...

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None: ...


manager = CallbackManager([Posting(time_limit=1.0), Counting([], []), LlamaDebugHandler()])


@manager.event(CBEventType.LLM)
def double(number: int) -> int:
    return 2 * number


@manager.event(CBEventType.LLM)
async def doubled(number: int) -> int:
    return 2 * number


now: int = double(1)
later: Coroutine[Any, Any, int] = doubled(1)
"""


def test_handlers_can_be_derived_and_functions_decorated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("users.py").write_text(USERS)
    # The rest of the house is checked elsewhere.
    words, trouble, code = api.run(["--strict", "--config-file=", "--follow-imports=silent", "--cache-dir=cache", "users.py"])
    assert (words, trouble, code) == ("Success: no issues found in 1 source file\n", "", 0)
