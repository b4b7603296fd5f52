"""Which jobs must run before which: those that a job names, those whose output it reads, those that fill the collection it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asyncrun.escape import printable
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.input_checks import taken_outputs
from asyncrun.jobfile.job_file import closure
from asyncrun.jobfile.mistakes import Findings, listed, suggest
from asyncrun.jobfile.output_checks import rows_file

Needs = Mapping[str, tuple[str, ...]]


def find_needs(entries: Sequence[JobEntry], root: Path, findings: Findings) -> Needs:
    """Return what every job needs: the jobs it names, those whose output it reads, and those that fill the collection it asks."""
    names = {entry.name for entry in entries if entry.name}
    shown = [entry.shown for entry in entries if entry.shown]
    writers = {path: entry.name for entry in entries if (path := rows_file(entry.job, root)) is not None}
    needs: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        for position, need in enumerate(entry.needs):
            if need not in names:
                where = entry.path("needs", position)
                if not findings.knows(where):
                    findings.add(where, f"no job is named{findings.quoted(where)}", listed(shown), suggest(need, shown))
        reads = taken_outputs(entry.job.input, root) if entry.job is not None and writers else None
        read = [name for path, name in writers.items() if reads(path) and name != entry.name] if reads else []
        needs[entry.name] = tuple(dict.fromkeys([*(need for need in entry.needs if need in names), *read]))
    for entry in entries:
        for name in _filling(entry, entries, root):
            # Not what itself needs the job.
            if name not in needs[entry.name] and entry.name not in closure({name}, needs):
                needs[entry.name] = (*needs[entry.name], name)
    return needs


def check_cycles(entries: Sequence[JobEntry], needs: Needs, findings: Findings) -> None:
    """No job needs itself, by whatever way; each circle is named once."""
    seen: set[str] = set()
    shown = {entry.name: printable(entry.shown, 60) for entry in entries}
    for entry in entries:
        circle = _circle(entry.name, needs, seen)
        if circle:
            at = next(other for other in entries if other.name == circle[0])
            where = at.path("needs")
            findings.add(
                where if findings.node(where) is not None else at.path("input"),
                f"jobs need each other: {' -> '.join(shown[name] for name in [*circle, circle[0]])}",
                "needs that come to an end",
            )


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


def _filling(entry: JobEntry, entries: Sequence[JobEntry], root: Path) -> Iterator[str]:
    """Yield the names of the jobs that fill the collection that a job asks."""
    asked = entry.job.asks if entry.job is not None else None
    for other in entries if asked is not None else ():
        filled = other.job.fills if other.job is not None else None
        if asked is not None and filled is not None and filled.is_same(asked, root):
            yield other.name
