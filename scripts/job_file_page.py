"""Fills in the tables of docs/job-file-reference.md, a row for every key of the job file, from the JSON Schema that its models make.

Usage: `python scripts/job_file_page.py` writes them, `--check` says whether they are up to date (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncrun.jobfile import job_file_schema, units
from asyncrun.jobfile.checks import STORE_KEYS
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.unavailable import KEYS, VALUES
from asyncrun.registry import BUILT_IN

PAGE = Path(__file__).resolve().parents[1] / "docs" / "job-file-reference.md"
TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- /keys -->)", re.DOTALL)
GAPS = re.compile(r"(<!-- gaps -->\n).*?(<!-- /gaps -->)", re.DOTALL)
LATER = "Not in this version yet."
UNITS = {
    units.DURATIONS: "duration",
    units.DEADLINES: "time of day or duration",
    units.SIZES: "size",
    units.SHARES: "percentage",
    units.THRESHOLDS: "count or percentage",
}
DEFAULTS = {
    ("Job", "workers"): "`auto`",
    ("Job", "max_failures"): "any number, but not all",
    ("EmbedderConfig", "on_too_long"): "`fail`; with `local`: `truncate`",
    ("EmbedderConfig", "on_empty"): "`fail`; in an ingest job: `skip`",
    ("Chunking", "overlap"): "32, or an eighth of `size` if that is less",
    ("IngestJob", "source"): "the job's name",
    ("ExecutorConfig", "processes"): "one for each core",
    ("OutputConfig", "format"): "by the ending of `path`",
}
"""Defaults that the schema cannot state."""


class PageError(Exception):
    """The page cannot be written: one sentence says why."""


class Keys:
    """The keys of every model, and where the page tells of it; `Job` has those that all kinds share."""

    def __init__(self, schema: Mapping[str, Any], anchors: Mapping[str, str]) -> None:
        self._anchors = anchors
        models = {"TopLevel": schema, **schema["$defs"]}
        if wrong := anchors.keys() ^ {*models, "Job"}:
            raise PageError(f"docs/job-file-reference.md needs one <!-- keys of ... --> for each model; wrong: {', '.join(sorted(wrong))}")
        self.known: dict[str, dict[str, Any]] = {}
        self.required = {model: frozenset(part.get("required", ())) for model, part in [*models.items(), ("Job", models["EmbedJob"])]}
        for model, part in models.items():
            shared = Job.model_fields if model.endswith("Job") else ()
            self.known[model] = {key: field for key, field in part["properties"].items() if key not in shared}
        shared_fields = models["EmbedJob"]["properties"]
        kinds = {"enum": [*BUILT_IN["kinds"]], "description": shared_fields["kind"]["description"]}
        self.known["Job"] = {key: kinds if key == "kind" else shared_fields[key] for key in Job.model_fields}

    def table(self, model: str) -> str:
        """Return the table of a model."""
        lines = ["| key | takes | default | what it is for |", "|---|---|---|---|"]
        for key, field in self.known[model].items():
            sentence = " ".join(filter(None, (re.sub(r" Written as .*", "", field["description"]), gap(model, key))))
            default = "required" if key in self.required[model] else DEFAULTS.get((model, key)) or default_of(field)
            lines.append(f"| `{key}` | {self._takes(field)} | {default} | {cell(sentence)} |")
        return "\n".join(lines) + "\n"

    def _takes(self, field: Mapping[str, Any]) -> str:
        """Say what may stand at a key."""
        return " or ".join(dict.fromkeys(filter(None, self._forms(field))))

    def _forms(self, field: Mapping[str, Any]) -> Iterator[str]:
        """Yield the forms of a value in words; a variable and null, which may stand nearly everywhere, are empty."""
        unit = next((name for words, name in UNITS.items() if words in field.get("description", "")), None)
        kind = field.get("type")
        if unit is not None:
            yield unit
        elif "$ref" in field:
            yield f"[mapping](#{self._anchors[field['$ref'].rpartition('/')[2]]})"
        elif "anyOf" in field:
            closed = [form for form in field["anyOf"] if "enum" in form]
            for form in closed or field["anyOf"]:
                yield from self._forms(form)
        elif field.get("pattern") == r"\$\{" or kind == "null":
            yield ""
        elif "enum" in field or "const" in field:
            yield ", ".join(named(field.get("enum", [field.get("const")])))
        elif kind == "array":
            inner = field["items"]
            yield f"list of [jobs](#{self._anchors['Job']})" if "oneOf" in inner else f"list: {self._takes(inner)}"
        elif kind == "object":
            inner = field.get("additionalProperties")
            yield f"mapping of names, each: {self._takes(inner)}" if isinstance(inner, dict) else "mapping"
        elif kind in ("integer", "number"):
            yield f"{'whole number' if kind == 'integer' else 'number'}{bounds(field)}"
        else:
            yield "`true`, `false`" if kind == "boolean" else "text or mapping" if isinstance(kind, list) else "text"


def named(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that may stand at a key, with a note on those that are not built."""
    missing = {word for words in VALUES.values() for word in words}
    yield from (f"`{word}` (later)" if word in missing else f"`{word}`" for word in words)


def bounds(field: Mapping[str, Any]) -> str:
    """Say between which bounds a number lies."""
    low, above, high = field.get("minimum"), field.get("exclusiveMinimum"), field.get("maximum")
    if high is not None:
        return f", {low} to {high}" if low != high else f": {low}"
    return f", {low} or more" if low is not None else f" above {above}" if above is not None else ""


def default_of(field: Mapping[str, Any]) -> str:
    """Return the default of a field as it is written in the file."""
    default, text = field.get("default"), json.dumps(field)
    if default in (None, [], ""):
        return "–"
    if units.DURATIONS in text:
        unit, seconds = next((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if default % size == 0)
        return f"`{default / seconds:g}{unit}`"
    if units.SIZES in text:
        return f"`{default // 10**6}MB`"
    return f"`{json.dumps(default) if isinstance(default, bool) else default}`"


def gap(model: str, key: str) -> str:
    """Say that a key is not built, or which stores do not look at it; nothing for one that can be used."""
    if model == "StoreConfig":
        blind = [name for name in BUILT_IN["stores"] if name in STORE_KEYS and key not in STORE_KEYS[name]]
        return LATER if blind == list(BUILT_IN["stores"]) else f"Not for {', '.join(blind)}." if blind else ""
    return LATER if model == "LlmConfig" and ("llms", "*", key) in KEYS else ""


def gaps() -> str:
    """Return a list of the values of the language that are not built."""
    lines = [f"- `{path[-1]}: {value}`" for path, words in VALUES.items() if path[0] != "defaults" for value in words]
    return "".join(f"{line}\n" for line in lines) or "None: all of it is there.\n"


def cell(text: str) -> str:
    """Return a text as it may stand in the cell of a table."""
    return re.sub(r"\$?\{[^{}]+\}", lambda found: f"`{found[0]}`", text.replace("|", "\\|"))


def anchors(page: str) -> dict[str, str]:
    """Return the anchor of the heading that each table stands under, as GitHub makes it."""
    found = {}
    for table in TABLE.finditer(page):
        heading = re.findall(r"^#+ (.*)$", page[: table.start()], re.MULTILINE)[-1]
        found[table[2]] = re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
    return found


def without_example(page: str, keys: Keys) -> Iterator[str]:
    """Yield every key that can be used and is shown by no YAML below the heading that its table stands under."""
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        shown = "\n".join(re.findall(r"```yaml\n(.*?)```", section, re.DOTALL))
        for _, model, _ in TABLE.findall(section):
            yield from (f"{model}.{key}" for key in keys.known[model] if not gap(model, key) and not re.search(rf"\b{key}:", shown))


def render_page(page: str) -> str:
    """Return the page with its tables filled in. Raises PageError for a key without a row or without an example."""
    keys = Keys(job_file_schema(), anchors(page))
    page = TABLE.sub(lambda found: f"{found[1]}{keys.table(found[2])}{found[3]}", page)
    page = GAPS.sub(lambda found: f"{found[1]}{gaps()}{found[2]}", page)
    if unshown := list(without_example(page, keys)):
        raise PageError(f"docs/job-file-reference.md has no example below the same heading for {', '.join(unshown)}")
    return page


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    try:
        wanted = render_page(page)
    except PageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if page == wanted:
        return 0
    if check:
        sys.stderr.write("docs/job-file-reference.md is out of date; run: python scripts/job_file_page.py\n")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
