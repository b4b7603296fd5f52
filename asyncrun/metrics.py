"""The last run of a job file as figures that a monitoring system watches, and as Prometheus' text format; all of it pure.

Names and units are those of OpenTelemetry's metrics; Prometheus' follow from them: `asyncrun.job.duration` in seconds is
`asyncrun_job_duration_seconds`, as a collector would translate it. All are gauges: each says how the last run was, and none counts on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from asyncrun.errors import Reason
from asyncrun.escape import printable
from asyncrun.results import JobResult, Status

Labels = tuple[tuple[str, str], ...]
_Figure = tuple[str, Labels, float]
RUN_SUCCESS, JOB_SUCCESS = "asyncrun.run.success.timestamp", "asyncrun.job.success.timestamp"
METRICS: Mapping[str, tuple[str, str]] = {
    "asyncrun.run.timestamp": ("s", "When the last run of the job file ended, in seconds since 1970."),
    RUN_SUCCESS: ("s", "When a run of the job file last ended with exit code 0, in seconds since 1970."),
    "asyncrun.run.duration": ("s", "How long the last run took."),
    "asyncrun.run.exit_code": ("", "The exit code of the last run."),
    "asyncrun.job.timestamp": ("s", "When the last run of the job ended, in seconds since 1970."),
    JOB_SUCCESS: ("s", "When the job last succeeded with all of its items, in seconds since 1970."),
    "asyncrun.job.duration": ("s", "How long the job took in its last run."),
    "asyncrun.job.exit_code": ("", "The exit code of the job in its last run."),
    "asyncrun.job.status": ("", "1 for the status that the job's last run ended with, 0 for the others."),
    "asyncrun.job.items": ("{item}", "Items of the last run by their outcome."),
    "asyncrun.job.cached_items": ("{item}", "Items of the last run, among those that are ok, that were finished before."),
    "asyncrun.job.failed_items": ("{item}", "Items of the last run that failed, by the reason."),
    "asyncrun.job.requests": ("{request}", "Requests of the last run, retries included."),
    "asyncrun.job.retries": ("{request}", "Requests of the last run that were sent again."),
    "asyncrun.job.tokens": ("{token}", "Tokens of the last run as the server has counted them."),
    "asyncrun.job.cost": ("USD", "What the last run cost; only where the price is known."),
    "asyncrun.job.wait": ("s", "Seconds of the last run's batches by what they were spent on; batches wait side by side."),
}
"""What is measured: the unit, and a sentence."""
_SUFFIXES = {"s": "_seconds", "USD": "_dollars"}
_OUTCOMES = ("ok", "failed", "skipped")
_STATUSES = (Status.SUCCEEDED, Status.PARTIAL, Status.FAILED, Status.STOPPED, Status.CANCELLED)
_LINE = re.compile(r"(asyncrun_\w+)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Metric:
    """One gauge: its name, its unit (`s`, `USD`, `{item}`; empty for none), what it says, and its values by their labels."""

    name: str
    unit: str
    description: str
    values: Mapping[Labels, float] = field(default_factory=dict)

    @property
    def prometheus_name(self) -> str:
        """Return the name that Prometheus has for it.

        >>> Metric("asyncrun.job.duration", "s", "").prometheus_name
        'asyncrun_job_duration_seconds'
        """
        return self.name.replace(".", "_") + _SUFFIXES.get(self.unit, "")


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, as far as it is measured: at `now`, in seconds since 1970; `seconds` is None for one that ended before it began.

    `job_file` names the job file for every other one that is watched in the same place; `all_jobs` are the names of all of its jobs.
    """

    job_file: str
    all_jobs: Sequence[str]
    now: float
    exit_code: int
    seconds: float | None = None
    jobs: Sequence[JobResult] = ()


def run_metrics(end: RunEnd, former: str = "") -> list[Metric]:
    """Return what there is to measure; `former` is what was written of the same job file before.

    Of that stay the figures of jobs that have not run now, and when a success was last.
    """
    metrics = {name: Metric(name, unit, description, {}) for name, (unit, description) in METRICS.items()}
    found: dict[str, dict[Labels, float]] = {name: {} for name in METRICS}
    for name, labels, value in (*_kept(end, former), *_figures(end)):
        found[name][labels] = value
    return [Metric(name, metric.unit, metric.description, found[name]) for name, metric in metrics.items() if found[name]]


def render_prometheus(metrics: Sequence[Metric]) -> str:
    r"""Return the text that Prometheus, and the textfile collector of its node exporter, read.

    >>> print(render_prometheus([Metric("asyncrun.job.duration", "s", "How long.", {(("job_name", 'a "b"'),): 1.5})]), end="")
    # HELP asyncrun_job_duration_seconds How long.
    # TYPE asyncrun_job_duration_seconds gauge
    asyncrun_job_duration_seconds{job_name="a \"b\""} 1.5
    """
    lines: list[str] = []
    for metric in metrics:
        name = metric.prometheus_name
        lines += [f"# HELP {name} {metric.description}", f"# TYPE {name} gauge"]
        for labels, value in metric.values.items():
            shown = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
            lines.append(f"{name}{{{shown}}} {value!r}")
    return "".join(f"{line}\n" for line in lines)


def _figures(end: RunEnd) -> Iterator[_Figure]:
    file: Labels = (("job_file", printable(end.job_file)),)
    yield "asyncrun.run.timestamp", file, end.now
    yield "asyncrun.run.exit_code", file, end.exit_code
    if end.seconds is not None:
        yield "asyncrun.run.duration", file, end.seconds
    if end.exit_code == 0:
        yield RUN_SUCCESS, file, end.now
    for job in end.jobs:
        labels: Labels = (*file, ("job_name", printable(job.name)), ("kind", printable(job.kind)))
        yield from ((name, (*labels, *more), value) for name, more, value in _job_figures(job, end.now))


def _job_figures(job: JobResult, now: float) -> Iterator[_Figure]:
    counts, usage = job.counts, job.usage
    yield "asyncrun.job.timestamp", (), now
    if job.status is Status.SUCCEEDED:
        yield JOB_SUCCESS, (), now
    yield "asyncrun.job.duration", (), job.seconds
    yield "asyncrun.job.exit_code", (), job.exit_code
    yield from (("asyncrun.job.status", (("status", status.value),), int(job.status is status)) for status in _STATUSES)
    yield from (("asyncrun.job.items", (("outcome", outcome),), getattr(counts, outcome)) for outcome in _OUTCOMES)
    yield "asyncrun.job.cached_items", (), counts.cached
    failed = {**dict.fromkeys(map(str, Reason), 0), **job.failed_by}
    yield from (("asyncrun.job.failed_items", (("reason", printable(reason)),), number) for reason, number in failed.items())
    yield "asyncrun.job.requests", (), usage.requests
    yield "asyncrun.job.retries", (), usage.retries
    yield "asyncrun.job.tokens", (), usage.tokens
    if usage.cost is not None:
        yield "asyncrun.job.cost", (), usage.cost
    yield from (("asyncrun.job.wait", (("reason", reason),), seconds) for reason, seconds in asdict(job.waits).items())


def _kept(end: RunEnd, former: str) -> Iterator[_Figure]:
    names = {Metric(name, unit, "").prometheus_name: name for name, (unit, _) in METRICS.items()}
    kinds = {printable(job.name): printable(job.kind) for job in end.jobs}
    resting = {printable(name) for name in end.all_jobs} - kinds.keys()
    for line in _LINE.finditer(former):
        labels = tuple((label, _unescaped(text)) for label, text in _LABEL.findall(line[2]))
        named = dict(labels)
        name = names.get(line[1])
        if name is None or named.get("job_file") != printable(end.job_file):
            continue
        job = named.get("job_name", "")
        if name == RUN_SUCCESS or job in resting or (name == JOB_SUCCESS and named.get("kind") == kinds.get(job)):
            try:
                yield name, labels, float(line[3])
            except ValueError:
                continue  # Somebody else has written it.


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)
