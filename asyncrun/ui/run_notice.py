"""How a run has ended, as a notice to a person who is somewhere else: plain text, short, with the commands that show more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from asyncrun.errors import AsyncrunError
from asyncrun.escape import cut, printable
from asyncrun.humanize import counted, dollars, duration
from asyncrun.notify.notices import Notice, NoticeKind
from asyncrun.results import JobResult, RunResult, Status

LONGEST_BODY = 1_800
"""Characters: the smallest message that a common service takes whole has 2,000."""
_MOST_JOBS = 8
_MOST_REASONS = 4
_LONGEST_LINE = 240
# A name of an item must not wake up everybody in a channel.
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_KINDS: Mapping[Status, NoticeKind] = {Status.SUCCEEDED: "success", Status.PARTIAL: "warning"}


@dataclass(frozen=True, slots=True)
class NoticeSource:
    """Where a run was: its job file, the machine, and the words that name it to `asyncrun trace` and, with a file, `asyncrun failed`."""

    job_file: str
    host: str
    trace_words: str
    failed_words: str | None


def render_notice(result: RunResult, source: NoticeSource, *, job: str | None = None, recovered: bool = False) -> Notice:
    """Return what is told of the end of a run, or of one `job` of it.

    >>> where = NoticeSource("nightly.yaml", "web-3", "-f nightly.yaml", "nightly.yaml")
    >>> render_notice(RunResult("r1", (JobResult("notes", "embed", Status.FAILED, 77, "the key is refused"),), 2.0), where).title
    'asyncrun: nightly.yaml failed on web-3'
    """
    what = source.job_file if job is None else f"{job} of {source.job_file}"
    said = {Status.PARTIAL: "is partial"}.get(result.status, str(result.status))
    title = f"asyncrun: {what} {'has recovered' if recovered else said} on {source.host}"
    lines, commands = [_counts(result), *_trouble(result)], ["", *_commands(result, source)]
    kind: NoticeKind = "success" if recovered else _KINDS.get(result.status, "failure")
    return _notice(title, lines, kind, commands)


def render_error_notice(error: Exception, source: NoticeSource) -> Notice:
    """Return what is told of a run that has ended by an error before it had a result."""
    said = [f"{error}", error.hint] if isinstance(error, AsyncrunError) else [f"internal error: {type(error).__name__}"]
    return _notice(f"asyncrun: {source.job_file} failed on {source.host}", said, "failure")


def render_test_notice(job_file: str, host: str) -> Notice:
    """Return what tests whether notices arrive."""
    body = f"`asyncrun doctor --notify` has sent this: notices of {job_file} arrive here."
    return _notice(f"asyncrun: a test from {host}", [body], "info")


def _notice(title: str, lines: list[str], kind: NoticeKind, commands: Sequence[str] = ()) -> Notice:
    told = _CALLS.sub("@ ", "\n".join(printable(line, _LONGEST_LINE) for line in lines))
    closing = "".join(f"\n{printable(command)}" for command in commands)
    return Notice(printable(title, _LONGEST_LINE), cut(told, LONGEST_BODY - len(closing)) + closing, kind)


def _counts(result: RunResult) -> str:
    counts, usage = result.counts, result.usage
    parts = [f"{counts.ok:,} ok"]
    parts += [f"{number:,} {word}" for word, number in (("failed", counts.failed), ("skipped", counts.skipped)) if number]
    parts += [counted(usage.tokens, "token")] if usage.tokens else []
    parts += [dollars(usage.cost)] if usage.cost else []
    return f"{counted(counts.items, 'item')} in {duration(result.seconds)}: {', '.join(parts)}. Exit code {result.exit_code}."


def _trouble(result: RunResult) -> Iterator[str]:
    bad = [job for job in result.jobs if job.status is not Status.SUCCEEDED]
    for job in bad[:_MOST_JOBS]:
        yield ""
        yield f"{job.name} {job.status}" + (f": {job.reason}" if job.reason else "")
        yield from _reasons(job)
        if job.hint:
            yield f"  {job.hint}"
    if len(bad) > _MOST_JOBS:
        yield f"and {counted(len(bad) - _MOST_JOBS, 'more job')}"


def _reasons(job: JobResult) -> Iterator[str]:
    first = {failure.reason: failure for failure in reversed(job.failures)}
    ordered = sorted(job.failed_by.items(), key=lambda each: -each[1])
    for reason, number in ordered[:_MOST_REASONS]:
        told = f", first at {first[reason].place}: {first[reason].message}" if reason in first else ""
        yield f"  {number:,} x {reason}{told}"
    if len(ordered) > _MOST_REASONS:
        yield f"  and {counted(len(ordered) - _MOST_REASONS, 'more reason')}"


def _commands(result: RunResult, source: NoticeSource) -> Iterator[str]:
    if result.counts.failed and source.failed_words is not None:
        yield f"asyncrun failed {source.failed_words}"
    show = "errors" if result.exit_code else "show"
    yield f"asyncrun trace {show} {result.run_id} {source.trace_words}"
