"""Spans for LlamaIndex's instrumentation: who listens to its dispatcher is told of jobs as of those of its own `run_jobs`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncrun.callbacks.job_events import Around

_INSTRUMENTATION = "llama_index.core.instrumentation"
_NOBODY = ("NullSpanHandler", "NullEventHandler")
_PLACE = "llama_index.core.async_utils"


@dataclass(slots=True)
class CallSpan:
    """The span of a call while it is open; `result` is told at its end. Without a dispatcher nobody is told."""

    dispatcher: Any
    name: str
    result: Any = None

    def around(self, outer: Around[Any] | None) -> Around[Any] | None:
        """Return what makes each job of the call a span, around what is around it already."""
        if self.dispatcher is None:
            return outer
        name = f"{self.name}.<locals>.worker"

        async def worker(job: Coroutine[Any, Any, Any]) -> Any:
            with _open(CallSpan(self.dispatcher, name), worker, job) as span:
                span.result = await job
                return span.result

        def spanned(job: Any, index: int) -> Coroutine[Any, Any, Any]:
            # Not the other way round: what stops the work before the job begins would close the span's coroutine, and not the job's.
            told: Any = worker(job if outer is None else outer(job, index))
            told.__qualname__ = getattr(job, "__qualname__", name)
            coroutine: Coroutine[Any, Any, Any] = told
            return coroutine

        return spanned


def call_span(function: Callable[..., Any], *args: Any, **options: Any) -> AbstractContextManager[CallSpan]:
    """Make a block the span of a call of a function with these arguments, if somebody listens to LlamaIndex's dispatcher."""
    span = CallSpan(_listening_dispatcher(), function.__name__)
    return nullcontext(span) if span.dispatcher is None else _open(span, function, *args, **options)


def _listening_dispatcher() -> Any:
    """Return the dispatcher that LlamaIndex's own functions tell, None where it is not in use or nobody listens."""
    instrumentation = sys.modules.get(_INSTRUMENTATION)
    if instrumentation is None:
        return None
    dispatcher = above = instrumentation.get_dispatcher(_PLACE)
    while all(type(handler).__name__ in _NOBODY for handler in (*above.span_handlers, *above.event_handlers)):
        if not above.propagate:
            return None
        above = above.parent
    return dispatcher


@contextmanager
def _open(span: CallSpan, function: Callable[..., Any], *args: Any, **options: Any) -> Generator[CallSpan, None, None]:
    active = import_module(f"{_INSTRUMENTATION}.span").active_span_id
    tags = import_module(f"{_INSTRUMENTATION}.dispatcher").active_instrument_tags.get()
    told = {"id_": f"{span.name}-{uuid.uuid4()}", "bound_args": signature(function).bind(*args, **options), "instance": None}
    outer = active.get()
    # Put back by value: a coroutine may be closed in another context.
    active.set(told["id_"])
    try:
        span.dispatcher.span_enter(**told, parent_id=outer, tags=tags)
        yield span
    except BaseException as error:
        dropped = import_module(f"{_INSTRUMENTATION}.events.span").SpanDropEvent(span_id=told["id_"], err_str=str(error))
        span.dispatcher.event(dropped)
        span.dispatcher.span_drop(**told, err=error)
        raise
    else:
        span.dispatcher.span_exit(**told, result=span.result)
    finally:
        active.set(outer)
