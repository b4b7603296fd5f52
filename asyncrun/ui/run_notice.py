"""How a run has ended, as a notice to a person who is somewhere else: plain text, short, with the commands that show more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import AsyncrunError
from asyncrun.escape import cut, printable
from asyncrun.notify.notices import Notice, NoticeKind
from asyncrun.results import RunResult, Status
from asyncrun.ui.run_end import render_ending

LONGEST_BODY = 1_800
"""Characters: the smallest message that a common service takes whole has 2,000."""
_LONGEST_LINE = 240
# A name of an item must not wake up everybody in a channel.
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_KINDS: Mapping[Status, NoticeKind] = {Status.SUCCEEDED: "success", Status.PARTIAL: "warning"}


@dataclass(frozen=True, slots=True)
class NoticeSource:
    """Where a run was: the name of its job file and its whole path (None: no file holds the jobs), the machine, the words for the trace."""

    name: str
    file: Path | None
    host: str
    trace_words: str


def render_notice(result: RunResult, source: NoticeSource, *, job: str | None = None, recovered: bool = False) -> Notice:
    """Return what is told of the end of a run, or of one `job` of it.

    >>> from asyncrun.results import JobResult
    >>> where = NoticeSource("nightly.yaml", Path("/srv/nightly.yaml"), "web-3", "-f /srv/nightly.yaml")
    >>> render_notice(RunResult("r1", (JobResult("notes", "embed", Status.FAILED, 77, "the key is refused"),), 2.0), where).title
    'asyncrun: nightly.yaml failed on web-3'
    """
    what = source.name if job is None else f"{job} of {source.name}"
    said = {Status.PARTIAL: "is partial"}.get(result.status, str(result.status))
    title = f"asyncrun: {what} {'has recovered' if recovered else said} on {source.host}"
    show = "errors" if result.status is Status.FAILED or result.counts.failed else "show"
    commands = ["", f"asyncrun trace {show} {result.run_id} {source.trace_words}"]
    kind: NoticeKind = "success" if recovered else _KINDS.get(result.status, "failure")
    return _notice(title, str(render_ending(result, source.file)).split("\n"), kind, commands)


def render_error_notice(error: Exception, source: NoticeSource) -> Notice:
    """Return what is told of a run that has ended by an error before it had a result."""
    said = [f"{error}", error.hint] if isinstance(error, AsyncrunError) else [f"internal error: {type(error).__name__}"]
    return _notice(f"asyncrun: {source.name} failed on {source.host}", said, "failure")


def render_test_notice(job_file: str, host: str) -> Notice:
    """Return what tests whether notices arrive."""
    body = f"`asyncrun doctor --notify` has sent this: notices of {job_file} arrive here."
    return _notice(f"asyncrun: a test from {host}", [body], "info")


def _notice(title: str, lines: list[str], kind: NoticeKind, commands: Sequence[str] = ()) -> Notice:
    told = _CALLS.sub("@ ", "\n".join(printable(line, _LONGEST_LINE) for line in lines))
    closing = "".join(f"\n{printable(command)}" for command in commands)
    return Notice(printable(title, _LONGEST_LINE), cut(told, LONGEST_BODY - len(closing)) + closing, kind)
