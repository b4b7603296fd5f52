"""Which jobs must run before which: those that a job names, those whose output it reads, those that fill the collection it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asyncrun.escape import printable
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.job_file import closure
from asyncrun.jobfile.job_grammar import takes
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.mistakes import Findings, listed, near

Needs = Mapping[str, tuple[str, ...]]


def find_needs(entries: Sequence[JobEntry], root: Path, findings: Findings) -> Needs:
    """Return what every job needs: the jobs it names, those whose output it reads, and those that fill the collection it asks."""
    names = {entry.name for entry in entries if entry.name}
    shown = [entry.shown for entry in entries if entry.shown]
    writers = {path: entry.name for entry in entries if (path := output_path(entry.job, root)) is not None}
    needs: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        for position, need in enumerate(entry.needs):
            if need not in names:
                where = entry.path("needs", position)
                if not findings.knows(where):
                    findings.add(where, f"no job is named{findings.quoted(where)}", listed(shown), near(need, shown))
        read = [name for name in writers_read(entry.job, root, writers) if name != entry.name]
        needs[entry.name] = tuple(dict.fromkeys([*(need for need in entry.needs if need in names), *read]))
    return _with_filling(entries, needs, root)


def check_cycles(entries: Sequence[JobEntry], needs: Needs, findings: Findings) -> bool:
    """Tell whether no job needs itself, by whatever way; each circle is named once."""
    seen: set[str] = set()
    shown = {entry.name: printable(entry.shown, 60) for entry in entries}
    sound = True
    for entry in entries:
        circle = _circle(entry.name, needs, seen)
        if circle:
            sound = False
            at = next(other for other in entries if other.name == circle[0])
            where = at.path("needs")
            findings.add(
                where if findings.node(where) is not None else at.path("input"),
                f"jobs need each other: {' -> '.join(shown[name] for name in [*circle, circle[0]])}",
                "needs that come to an end",
            )
    return sound


def _circle(start: str, needs: Needs, seen: set[str]) -> list[str]:
    """Return the names of a circle that can be reached from a job, in their order; marks what was seen."""
    if start in seen:
        return []
    trail = [start]
    rests = [iter(needs.get(start, ()))]
    seen.add(start)
    while trail:
        need = next(rests[-1], None)
        if need is None:
            trail.pop()
            rests.pop()
        elif need in trail:
            return trail[trail.index(need) :]
        elif need not in seen:
            seen.add(need)
            trail.append(need)
            rests.append(iter(needs.get(need, ())))
    return []


def output_path(job: Job | None, root: Path) -> Path | None:
    """Return the file that a job writes, None for stdout or a store."""
    output = getattr(job, "output", None)
    return None if output is None or output.path == STDOUT else real(root / output.path)


def writers_read(job: Job | None, root: Path, writers: Mapping[Path, str]) -> list[str]:
    """Return the names of the jobs whose outputs a job reads."""
    reads = takes(job.input, root) if job is not None and writers else None
    return [name for path, name in writers.items() if reads(path)] if reads else []


def _with_filling(entries: Sequence[JobEntry], needs: Mapping[str, tuple[str, ...]], root: Path) -> dict[str, tuple[str, ...]]:
    """Return what every job needs, one that asks a collection also what fills it; not what itself needs that job."""
    found = dict(needs)
    for entry in entries:
        for name in _filling(entry, entries, root):
            if name not in found[entry.name] and entry.name not in closure({name}, found):
                found[entry.name] = (*found[entry.name], name)
    return found


def _filling(entry: JobEntry, entries: Sequence[JobEntry], root: Path) -> Iterator[str]:
    asked = entry.job.asks if entry.job is not None else None
    for other in entries if asked is not None else ():
        filled = other.job.fills if other.job is not None else None
        if asked is not None and filled is not None and filled.is_same(asked, root):
            yield other.name
