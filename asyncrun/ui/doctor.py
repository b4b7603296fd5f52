"""What the doctor finds, as a text for people and as a document for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from asyncrun.humanize import duration
from asyncrun.ui.run_json import document


@dataclass(frozen=True, slots=True)
class DoctorSetting:
    """A value that holds, and where it comes from: flag, environment, job file, default, server; empty where that is no question."""

    name: str
    value: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Checkup:
    """One endpoint of one model, a store or a cluster: `what` it is (`embedder openai/m`), `where` (None: in this process), how it did.

    `jobs` are those that use it. `dimensions` is None where no vector came, `seconds` is what its answer took, `found` says it where
    there is neither; `error` is None when all is well, `hint` is what to do about it.
    """

    what: str
    where: str | None
    settings: tuple[DoctorSetting, ...] = ()
    jobs: tuple[str, ...] = ()
    dimensions: int | None = None
    seconds: float | None = None
    found: str | None = None
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found: settings of the whole, a checkup for each endpoint of each model and for each store, mistakes of the job file.

    `executor` has one of the cluster that calls run on, if there is any.
    `warnings` tell what is not in the way of a run, such as a plugin that cannot be used.
    """

    settings: tuple[DoctorSetting, ...]
    checkups: tuple[Checkup, ...] = ()
    stores: tuple[Checkup, ...] = ()
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    executor: tuple[Checkup, ...] = ()

    @property
    def healthy(self) -> bool:
        """Say whether nothing is in the way of a run."""
        return not self.mistakes and all(checkup.error is None for checkup in (*self.executor, *self.checkups, *self.stores))


def render_diagnosis(diagnosis: Diagnosis) -> str:
    """Return the text.

    >>> settings, checkups = (DoctorSetting("job file", "jobs.yaml", "flag"),), (Checkup("embedder local/m", None, dimensions=3),)
    >>> print(render_diagnosis(Diagnosis(settings, checkups)))
    job file  jobs.yaml (flag)
    ok    embedder local/m: 3 dimensions
    """
    return "\n".join(_lines(diagnosis))


def diagnosis_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the JSON document.

    >>> diagnosis_document(Diagnosis(()))
    {'schema': 1, 'ok': True, 'settings': [], 'executor': [], 'models': [], 'stores': [], 'mistakes': [], 'warnings': []}
    """
    return document(
        ok=diagnosis.healthy,
        settings=[asdict(setting) for setting in diagnosis.settings],
        executor=[_checkup_document(checkup) for checkup in diagnosis.executor],
        models=[_checkup_document(checkup) for checkup in diagnosis.checkups],
        stores=[_checkup_document(checkup) for checkup in diagnosis.stores],
        mistakes=list(diagnosis.mistakes),
        warnings=list(diagnosis.warnings),
    )


def _checkup_document(checkup: Checkup) -> dict[str, Any]:
    values = asdict(checkup)
    return {"ok": checkup.error is None, **values, "jobs": list(checkup.jobs), "settings": list(values["settings"])}


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield from _table(diagnosis.settings, "")
    yield from (f"FAIL  {mistake}" for mistake in diagnosis.mistakes)
    yield from (f"warn  {warning}" for warning in diagnosis.warnings)
    for checkup in (*diagnosis.executor, *diagnosis.checkups, *diagnosis.stores):
        at = f" at {checkup.where}" if checkup.where else ""
        if checkup.error is not None:
            said = checkup.error
        else:
            found = [f"{checkup.dimensions:,} dimensions"] if checkup.dimensions is not None else []
            found += [duration(checkup.seconds)] if checkup.seconds is not None else []
            said = ", ".join(found) or checkup.found or "it answers"
        yield f"{'ok   ' if checkup.error is None else 'FAIL '} {checkup.what}{at}: {said}"
        if checkup.hint is not None:
            yield f"      {checkup.hint}"
        used_by = (DoctorSetting("jobs", ", ".join(checkup.jobs)),) if checkup.jobs else ()
        yield from _table((*used_by, *checkup.settings), "      ")


def _table(settings: tuple[DoctorSetting, ...], indent: str) -> Iterator[str]:
    width = max((len(setting.name) for setting in settings), default=0)
    for setting in settings:
        yield f"{indent}{setting.name:<{width}}  {setting.value}" + (f" ({setting.source})" if setting.source else "")
