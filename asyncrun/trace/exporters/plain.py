"""Plain JSON: a run with all its spans, as `docs/trace.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncrun.escape import printable
from asyncrun.trace.json_documents import trace_document
from asyncrun.trace.run_record import RunRecord, Span


def plain_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run with its spans; control characters in texts are written out, so that the document can be shown anywhere.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> plain_document(run, [], now=5.0)["run"]["status"]
    'succeeded'
    """
    document: dict[str, Any] = _shown(trace_document(run, spans, now))
    return document


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _shown(part) for key, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list | tuple) else value
