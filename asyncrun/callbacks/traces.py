"""Which traces the running code is inside of."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncrun.callbacks.current import OpenEvent
    from asyncrun.callbacks.manager import CallbackManager


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """An open trace: traces of one manager that are nested share the outermost one's map."""

    manager: CallbackManager
    trace_map: dict[str, list[str]]
    outer_stack: tuple[OpenEvent, ...]


# A context variable gives every task and thread its own; the values are immutable, so a child cannot change its parent's.
open_traces: ContextVar[tuple[Trace, ...]] = ContextVar("asyncrun_traces", default=())
"""The innermost is the last."""


def trace_of(manager: CallbackManager) -> Trace | None:
    """Return the innermost open trace of a manager, None outside of all."""
    return next((trace for trace in reversed(open_traces.get()) if trace.manager is manager), None)
