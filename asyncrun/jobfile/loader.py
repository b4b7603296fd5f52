"""The way of a job file: text, tree, data, models, checks; every mistake is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from asyncrun.errors import JobFileError, Mistake, Place
from asyncrun.grammar.globs import is_glob
from asyncrun.jobfile import checks
from asyncrun.jobfile.entries import MAX_JOBS, EntryBuilder, JobEntry, Parts
from asyncrun.jobfile.files import load_key, load_text
from asyncrun.jobfile.input_checks import check_inputs, check_patterns
from asyncrun.jobfile.job_file import VERSION, JobFile, TopLevel, closure, unknown_job
from asyncrun.jobfile.jobs import CheckContext, Job, PartialJob, job_options
from asyncrun.jobfile.mistakes import Findings, Gap, suggest, with_lines
from asyncrun.jobfile.needs import Needs, check_cycles, find_needs
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.jobfile.output_checks import check_metrics, check_outputs, what_stays, written_files
from asyncrun.jobfile.sections import EmbedderConfig, ExecutorConfig, LlmConfig, MetricsConfig, StoreConfig, TraceConfig
from asyncrun.jobfile.unavailable import Names, note_later
from asyncrun.jobfile.validation_errors import M, build_model
from asyncrun.jobfile.variables import Resolver, Variables, declared_variables
from asyncrun.jobfile.yaml_parser import compose
from asyncrun.jobfile.yaml_tree import KeyPath, Listing, Scalar, Table, children, is_nothing

_SELECTABLE = {"jobs", "embedders", "stores", "llms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a job file is read.

    `variables` come before `environ`, and both before the file's `vars`. `jobs` are those that will run (none: all); only what they
    reach must be there. `check_inputs` looks for the files, `resolve` demands values for variables and reads key files, `need_keys`
    demands keys and headers, too. With `stores` those are looked into, and no job that is not named runs.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    jobs: Sequence[str] = ()
    stores: Sequence[str] | None = None
    check_inputs: bool = True
    resolve: bool = True
    need_keys: bool = True


def load_job_file(path: Path, options: LoadOptions) -> JobFile:
    """Read a job file; its path stands in every mistake as it is given.

    Raises JobFileError with every mistake, UsageError for a job that is not in the file.
    """
    return parse_job_file(load_text(path), path, options, is_there=True)


def parse_job_file(text: str, path: Path, options: LoadOptions, *, is_there: bool = False) -> JobFile:
    """Read a job file's text as if it stood at `path`, where it need not be; else as `load_job_file`.

    >>> text = "jobs: [{name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}]"
    >>> parse_job_file(text, Path("jobs.yaml"), LoadOptions(check_inputs=False)).jobs[0].name
    'notes'
    """
    try:
        return JobFileLoader(text, path, options, is_there=is_there).load()
    except JobFileError as error:
        raise JobFileError(with_lines(error.mistakes, text)) from None


class JobFileLoader:
    """The loading of one file: every method is one step of it."""

    def __init__(self, text: str, path: Path, options: LoadOptions, *, is_there: bool = False) -> None:
        shown = str(path)
        root, mistakes = compose(text, shown)
        if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
            raise JobFileError([Mistake("", "the file is empty", "a mapping with jobs", None, Place(shown, 1, 1))])
        self.path, self.options, self.is_there = path, options, is_there
        self.folder = path.absolute().parent
        self.names = Names()
        self.findings = Findings(shown, root, mistakes)
        if not isinstance(root, Table):
            self.findings.add((), "not a job file", "a mapping with jobs")
            self.findings.raise_all(lambda gap: True)
        self.vars = declared_variables(self.findings)
        self.resolver = Resolver(Variables(options.variables, options.environ, self.vars), self.findings)

    def load(self) -> JobFile:
        """Return the job file. Raises JobFileError, UsageError."""
        version = self._version()
        self._top_keys()
        note_later(self.findings)
        parts = Parts(
            self._named("embedders", EmbedderConfig, checks.check_embedder),
            self._named("stores", StoreConfig, checks.check_store),
            self._named("llms", LlmConfig, checks.check_llm),
        )
        trace, executor = self._section("trace", TraceConfig), self._section("executor", ExecutorConfig)
        if executor is not None:
            checks.check_executor(executor, self.names, self.findings)
        notify, metrics = self._section("notify", NotifyConfig), self._metrics()
        entries = self._leave_out(self._entries(parts), parts, metrics)
        needs = self._checked_needs(entries)
        stays = what_stays(entries, self.folder, self.path.absolute(), self.resolver.key_files.values())
        check_outputs(entries, self.folder, stays, self.findings)
        check_metrics(metrics, entries, self.folder, stays, self.findings)
        reached = self._reached(entries, needs)
        self._check_files(entries, reached)
        keys = self._keys(reached)
        parts, entries = parts.with_keys(keys), [entry.with_keys(keys) for entry in entries]
        checks.check_limits(parts, entries, self.findings)
        self.findings.raise_all(lambda gap: self._counts(gap, reached))
        self._raise_unknown(needs)
        return JobFile(
            path=self.path,
            root=self.folder,
            version=version,
            vars=self.vars,
            embedders=_whole(parts.embedders),
            llms=_whole(parts.llms),
            stores=_whole(parts.stores),
            trace=trace or TraceConfig(),
            executor=executor or ExecutorConfig(),
            notify=notify or NotifyConfig(),
            metrics=metrics,
            key_files=tuple(self.folder / file for file in self.resolver.key_files.values()),
            keyless=tuple(gap.mistake for gap in self.findings.gaps if gap.cause == "secret" and self._is_reached(gap, reached)),
            jobs=tuple(entry.job.model_copy(update={"needs": needs[entry.name]}) for entry in entries if _is_whole(entry.job)),
        )

    def _version(self) -> int:
        path: KeyPath = ("version",)
        value = self.resolver.data(self.findings.node(path), path)
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > VERSION:
            what = (
                f"this asyncrun reads version {VERSION} of the job file; a newer asyncrun reads version {value} (pip install -U asyncrun)"
            )
            shown, where = self.findings.where(path)
            raise JobFileError([Mistake(shown, what, None, None, where)])
        if value is not None and (isinstance(value, bool) or value != VERSION) and not self.findings.knows(path):
            self.findings.add(path, "not a version of the job file", str(VERSION))
        return VERSION

    def _top_keys(self) -> None:
        known = list(TopLevel.model_fields)
        for key, _ in children(self.findings.root):
            if key not in known:
                self.findings.add((key,), "unknown key", ", ".join(known), suggest(str(key), known), key=True)

    def _section(self, key: str, model: type[M]) -> M | None:
        node = self.findings.node((key,))
        if node is None or is_nothing(node):
            return None
        return self._build(model, self.resolver.data(node, (key,)), (key,))

    def _metrics(self) -> str | None:
        path: KeyPath = ("metrics",)
        data = {"metrics": self.resolver.data(self.findings.node(path), path)}
        made = build_model(MetricsConfig, data, lambda path: path, self.findings)
        return None if made is None else made.metrics

    def _named(self, key: str, model: type[M], check: Callable[[M, KeyPath, Names, Findings], None]) -> dict[str, M | None]:
        """Return the parts of a section by their names, each checked; None for one that is wrong."""
        node = self.findings.node((key,))
        if node is not None and not isinstance(node, Table) and not is_nothing(node):
            self.findings.add((key,), "not a mapping", "a mapping of names to settings")
        found: dict[str, M | None] = {}
        for name, value in children(node) if isinstance(node, Table) else ():
            found[str(name)] = self._build(model, self.resolver.data(value, (key, name)), (key, name))
        for name, part in found.items():
            if part is not None:
                check(part, (key, name), self.names, self.findings)
        return found

    def _build(self, model: type[M], data: Any, above: KeyPath) -> M | None:
        return build_model(model, data, lambda path: (*above, *path), self.findings)

    def _entries(self, parts: Parts) -> list[JobEntry]:
        node = self.findings.node(("jobs",))
        if node is None:
            self.findings.add((), "missing", "a list of jobs", missing="jobs")
            return []
        if not isinstance(node, Listing) or not node.items:
            self.findings.add(
                ("jobs",),
                "no list of jobs",
                "one job or more, such as - {name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}",
            )
            return []
        if len(node.items) > MAX_JOBS:
            self.findings.add(("jobs", MAX_JOBS), f"more than {MAX_JOBS} jobs", "several job files")
        builder = EntryBuilder(self._defaults(), parts, self.names, self.findings)
        read = ((at, self.resolver.data(item, ("jobs", at))) for at, item in enumerate(node.items[:MAX_JOBS]))
        return [entry for at, data in read if (entry := builder.build(at, data)) is not None]

    def _defaults(self) -> dict[str, Any]:
        data = self.resolver.data(self.findings.node(("defaults",)), ("defaults",))
        if data is not None and not isinstance(data, dict):
            self.findings.add(("defaults",), "not a mapping", "a mapping of options that a job may have")
            return {}
        for key in data or ():
            options = job_options()
            if key not in options and not self.names.plugins("kinds"):
                self.findings.add(("defaults", key), "no option of a job", ", ".join(sorted(options)), suggest(key, options), key=True)
        return data or {}

    def _leave_out(self, entries: list[JobEntry], parts: Parts, metrics: str | None) -> list[JobEntry]:
        """Return the entries, whose globs take no file of this job file."""
        if not any(is_glob(text) for entry in entries if entry.job is not None for text in entry.job.input.paths):
            return entries
        from asyncrun.jobfile.own_files import find_own_files

        kept = [*map(Path, self.resolver.key_files.values()), *([Path(metrics)] if metrics else [])]
        kept += [self.path.absolute()] if self.is_there else []
        stores = [store for store in parts.stores.values() if store is not None]
        return [entry.leaving_out(find_own_files(entry, entries, stores, kept, self.folder)) for entry in entries]

    def _checked_needs(self, entries: Sequence[JobEntry]) -> Needs:
        for entry in entries:
            check_patterns(entry, self.folder, self.findings)
        checks.check_names(entries, self.findings)
        needs = find_needs(entries, self.folder, self.findings)
        check_cycles(entries, needs, self.findings)
        checks.check_parts(entries, self.names, self.findings)
        checks.check_budgets(entries, self.findings)
        checks.check_delivery(entries, self.findings)
        return needs

    def _reached(self, entries: Sequence[JobEntry], needs: Needs) -> frozenset[KeyPath]:
        """Return the paths of the selected jobs, of what they need, and of the parts that these refer to."""
        stores, jobs = self.options.stores, self.options.jobs
        names = closure(set(jobs or (needs if stores is None else ())), needs)
        parts = (path for entry in entries if entry.name in names for path in (entry.path(), *entry.parts))
        return frozenset({*parts, *(("stores", name) for name in stores or ())})

    def _counts(self, gap: Gap, reached: frozenset[KeyPath]) -> bool:
        if (gap.cause != "part" and not self.options.resolve) or (gap.cause == "secret" and not self.options.need_keys):
            return False
        return self._is_reached(gap, reached)

    def _is_reached(self, gap: Gap, reached: frozenset[KeyPath]) -> bool:
        return gap.path[0] not in _SELECTABLE or gap.path[:2] in reached

    def _check_files(self, entries: Sequence[JobEntry], reached: frozenset[KeyPath]) -> None:
        if self.options.check_inputs:
            written = written_files(entries, self.folder)
            for entry in entries:
                if entry.path() in reached:
                    check_inputs(entry, self.folder, written, self.names, self.findings)
        for entry in entries:
            if entry.job is not None:
                read = self.options.check_inputs and entry.path() in reached
                context = CheckContext(self.folder, self.names, self.findings, read)
                entry.job.check(entry, context)
                self._check_chain(entry, entries, context)

    def _check_chain(self, entry: JobEntry, entries: Sequence[JobEntry], context: CheckContext) -> None:
        if len(entries) > 1:  # One job alone reads nobody's rows, and starts sooner.
            from asyncrun.jobfile.row_fields import check_row_fields

            check_row_fields(entry, entries, context)

    def _keys(self, reached: frozenset[KeyPath]) -> dict[KeyPath, str]:
        """Return the keys that stand in files, by the path of what they belong to."""
        found: dict[KeyPath, str] = {}
        wanted = self.resolver.key_files.items() if self.options.resolve else ()
        for path, file in wanted:
            if path[0] in _SELECTABLE and path[:2] not in reached:
                continue
            try:
                found[path[:-1]] = load_key(self.folder / file)
            except ValueError as error:
                self.findings.add_gap("secret", (*path, "file"), str(error), "a file that holds the key alone")
        return found

    def _raise_unknown(self, needs: Needs) -> None:
        unknown = [name for name in self.options.jobs if name not in needs]
        if unknown:
            raise unknown_job(unknown[0], list(needs))


def _is_whole(job: Job | None) -> TypeGuard[Job]:
    return job is not None and not isinstance(job, PartialJob)


def _whole(parts: Mapping[str, M | None]) -> dict[str, M]:
    return {name: part for name, part in parts.items() if part is not None}
