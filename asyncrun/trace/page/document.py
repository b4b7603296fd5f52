"""Everything that the page of a run shows, as one JSON document: a page is made from it, and made anew when a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asyncrun.aio.limits import UNITS
from asyncrun.humanize import counted, dollars, duration
from asyncrun.trace.critical_path import PathPart, critical_path, parts_of
from asyncrun.trace.page.events import page_events
from asyncrun.trace.page.trouble import endings, failed_groups
from asyncrun.trace.run_comparison import changes_between, measure_jobs, measure_run, settings_between
from asyncrun.trace.run_record import RUNNING, RunRecord, Span
from asyncrun.trace.span_tree import SHORTEST_WAIT, WAITS, SpanNode, Timing, build_forest, lanes_of, timings_by_job, timings_by_type
from asyncrun.trace.trace_json import shown_values
from asyncrun.trace.used_concurrency import concurrency_of
from asyncrun.trace.verdict import jobs_of, time_sinks, verdict, where_time_went, workers_of
from asyncrun.trace.views.styled_text import utc_time

SCHEMA = 1
MOST_JOBS = 1000
"""Jobs that get a row of their own."""
MOST_PATH_PARTS = 10
LEAST_SHARE = 0.005
"""Of the critical path; what is shorter is counted."""
MOST_EARLIER = 30
"""Earlier runs that are charted."""
MOST_SETTINGS = 40


_BOUND_BY: Mapping[str, str] = {
    "concurrency": "more at once may be faster",
    **dict.fromkeys(("rate", *(f"{unit}_per_minute" for unit in UNITS)), "the rate limit"),
    "gate": "the endpoint says wait",
    "request": "the endpoint's own time",
    "ship": "larger batches may be faster",
    "compute": "this machine's processor",
    "store": "the vector store",
    "write": "the disk",
    "batches": "the provider's batches",
}
"""What the word for what bound a run means for who reads it."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The runs of the same job file before this one, the earliest first, and the spans of the last of them.

    `link` is the address of the page of a run, None where there is none.
    """

    runs: Sequence[RunRecord] = ()
    spans: Sequence[Span] = ()
    link: Callable[[str], str | None] = lambda _: None


def page_document(run: RunRecord, spans: Sequence[Span], now: float, earlier: Earlier = Earlier()) -> dict[str, Any]:
    """Return what the page of a run shows; `spans` are ordered by id, `now` (seconds since 1970) tells a live run from a dead one.

    No text in it holds a control character, and no number is without an end.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, summary={"items": 9, "ok": 9, "cached": 0})
    >>> page_document(run, [], now=5.0)["verdict"]
    'All 9 items done in 2 s'
    """
    whole, forest = build_forest(spans), build_forest(spans, details=False)
    path = critical_path(forest)
    parts = parts_of(path)
    shown = {
        "schema": SCHEMA,
        "run": _head(run, now),
        "verdict": verdict(run, now),
        "share": _known(run.summary.get("share")) if run.status_at(now) == RUNNING else None,
        "time_went": where_time_went(time_sinks(parts)),
        "warnings": _warnings(run, now),
        "tiles": _tiles(run, forest, now),
        "endings": endings(run),
        "jobs": _jobs(run, forest),
        "workers": [asdict(worker) for worker in workers_of(run.summary)],
        "failures": failed_groups(run, spans),
        "path": _path(parts),
        "types": [_timing(timing) for timing in timings_by_type(whole)],
        "earlier": _earlier(run, earlier, now),
        "slower": _slower(run, spans, earlier),
    }
    return {**shown_values(shown), "events": page_events(whole, forest, path, run.started)}


def _head(run: RunRecord, now: float) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status_at(now),
        "facts": [
            utc_time(run.started),
            run.job_file or "no job file",
            *([] if run.exit_code is None else [f"exit code {run.exit_code}"]),
            f"run {run.run_id}",
            f"asyncrun {run.version} on {run.host}",
        ],
    }


def _warnings(run: RunRecord, now: float) -> list[str]:
    said = []
    if run.ended is None and run.status_at(now) != RUNNING:
        said.append(f"The last sign of life was at {utc_time(run.seen)}.")
    if run.lost:
        said.append(f"This trace is partial: {counted(run.lost, 'span')} could not be written.")
    return said


def _tiles(run: RunRecord, forest: Sequence[SpanNode], now: float) -> list[dict[str, str]]:
    """Return the figures of the run: a label, a value, and what else is to be said of it."""
    told = run.summary or _so_far(forest)
    at_end = run.status_at(now) in ("succeeded", "partial")
    seconds = run.seconds if run.seconds is not None else max((now if run.status_at(now) == RUNNING else run.seen) - run.started, 0.0)
    items, ok, failed, cached, skipped = (_number(told, name) for name in ("items", "ok", "failed", "cached", "skipped"))
    requests, retries, tokens = (_number(told, name) for name in ("requests", "retries", "tokens"))
    bound = told.get("bound_by")
    tiles = [
        _tile("ok", f"{ok:,}", f"of {counted(items, 'item')}" if at_end else "so far", "good" if ok else ""),
        _tile("failed", f"{failed:,}", f"{failed / items:.2%}" if failed and items else "", "bad" if failed else ""),
        _tile("cached", f"{cached:,}", "done before" if cached else ""),
        *([_tile("skipped", f"{skipped:,}")] if skipped else []),
        _tile("time", duration(seconds), f"{(ok - cached) / seconds:,.1f} items/s" if ok > cached and seconds else ""),
        _tile("requests", f"{requests:,}", f"{retries:,} retried" if retries else ""),
        _tile("tokens", f"{tokens:,}", f"{tokens / seconds:,.0f}/s" if tokens and seconds else ""),
        *([_cost(told.get("cost"))] if run.ended is not None or told.get("cost") else []),
    ]
    return [*tiles, _tile("bound by", str(bound).replace("_", " "), _BOUND_BY.get(str(bound), ""))] if bound else tiles


def _cost(cost: object) -> dict[str, str]:
    return _tile("cost", dollars(cost)) if isinstance(cost, int | float) else _tile("cost", "unknown", "no price is given")


def _tile(label: str, value: str, note: str = "", tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "tone": tone}


def _so_far(forest: Sequence[SpanNode]) -> dict[str, Any]:
    """Return what the events of a run without an end say."""
    found: dict[str, Any] = {}
    heads = list(forest)
    while heads:
        node = heads.pop()
        told = node.span.attributes
        if node.span.end is None:
            heads.extend(node.children)
            continue
        for name in ("items", "failed", "cached", "requests", "retries", "tokens"):
            value = told.get(name)
            found[name] = found.get(name, 0) + (round(value) if isinstance(value, int | float) else 0)
    return {**found, "ok": found.get("items", 0) - found.get("failed", 0)}


def _number(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


def _known(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _jobs(run: RunRecord, forest: Sequence[SpanNode]) -> list[dict[str, Any]]:
    """Return a row for each job, those first that took longest to come to their end."""
    told = {str(job.get("name")): job for job in jobs_of(run.summary)}
    lanes = lanes_of(forest)
    rows = []
    timings = {timing.label: timing for timing in timings_by_job(forest)[:MOST_JOBS]}
    for name in list(dict.fromkeys([*told, *timings]))[:MOST_JOBS]:
        job, timing = told.get(name, {}), timings.get(name)
        used = concurrency_of(lanes[name]) if name in lanes else None
        cost = job.get("cost")
        rows.append(
            {
                "name": name,
                "status": job.get("status") or "",
                **{key: _known(job.get(key)) for key in ("ok", "total", "failed", "cached", "requests", "tokens")},
                "cost": dollars(cost) if isinstance(cost, int | float) else None,
                "seconds": _known(job.get("seconds")) if timing is None else timing.total,
                "most": None if used is None else round(used.most, 1),
                "mean": None if used is None else round(used.mean, 1),
                "waits": {} if timing is None else _waits(timing.waits),
            }
        )
    return rows


def _path(parts: Sequence[PathPart]) -> dict[str, Any]:
    total = sum(part.seconds for part in parts)
    shown = [part for part in parts[:MOST_PATH_PARTS] if part.seconds >= LEAST_SHARE * total]
    return {
        "seconds": total,
        "parts": [{"job": part.job, "event": part.event, "seconds": part.seconds, "waits": _waits(part.waits)} for part in shown],
        "more": len(parts) - len(shown),
    }


def _waits(waits: Mapping[str, float]) -> dict[str, float]:
    return {name: waits[name] for name in WAITS if waits.get(name, 0.0) >= SHORTEST_WAIT}


def _timing(timing: Timing) -> dict[str, Any]:
    times = timing.percentiles
    return {
        "type": timing.label,
        "count": timing.count,
        "failed": timing.failed,
        **{"total": timing.total, "own": timing.own, "p50": times.p50, "p95": times.p95, "max": times.most},
    }


def _earlier(run: RunRecord, earlier: Earlier, now: float) -> list[dict[str, Any]]:
    """Return this run and those before it, the earliest first."""
    return [
        {
            "run_id": one.run_id,
            "started": utc_time(one.started),
            "status": one.status_at(now),
            "seconds": one.seconds,
            "items": _known(one.summary.get("items")),
            "cost": _known(one.summary.get("cost")),
            "link": None if one is run else earlier.link(one.run_id),
        }
        for one in ([*earlier.runs[-MOST_EARLIER:], run] if earlier.runs else [])
    ]


def _slower(run: RunRecord, spans: Sequence[Span], earlier: Earlier) -> dict[str, Any] | None:
    """Return how the run compares with the one before: for all of it and for each job the time, and what of it is no noise."""
    if not earlier.runs or not earlier.spans or not spans:
        return None
    before = earlier.runs[-1]
    ours, theirs = measure_jobs(spans), measure_jobs(earlier.spans)
    pairs = [("", measure_run(earlier.spans), measure_run(spans))]
    pairs += [(name, theirs[name], ours[name]) for name in list(ours)[:MOST_JOBS] if name in theirs]
    compared = [
        {
            "job": job,
            "before": then.seconds,
            "after": now.seconds,
            "changes": [
                {key: getattr(change, key) for key in ("group", "name", "before", "after", "unit")}
                for change in changes_between(then, now)
                if change.noticeable and change.group != "time"
            ],
        }
        for job, then, now in pairs
    ]
    settings = [{"name": one.name, "before": one.before, "after": one.after} for one in settings_between(before, run)[:MOST_SETTINGS]]
    return {"run_id": before.run_id, "compared": compared, "settings": settings}
