"""The text of a prompt that a job file names, in place or in a file: checked with the place of a mistake, and read for a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.grammar.prompt import PromptTemplate, TemplateError
from asyncrun.jobfile.files import neighbour, not_a_file
from asyncrun.jobfile.jobs import CheckContext, Prompt
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar, Table


@dataclass(frozen=True, slots=True)
class PromptText:
    """A text, where its mistakes are told, and the file that it stands in, as it was typed; empty for one in place."""

    text: str
    path: KeyPath
    file: str = ""


def find_prompt(prompt: Prompt, path: KeyPath, context: CheckContext) -> PromptText | None:
    """Return the text of a prompt, None where there is none to be looked at: what is wrong with its file is a finding. Blocks."""
    findings = context.findings
    if prompt.text is not None:
        return PromptText(prompt.text, (*path, "text") if isinstance(findings.node(path), Table) else path)
    where = (*path, "path")
    text = None if prompt.path is None else read_named(prompt.path, where, "the prompt", context)
    return None if text is None else PromptText(text, where, typed(where, prompt.path or "", findings))


def read_named(name: str, where: KeyPath, what: str, context: CheckContext) -> str | None:
    """Return the text of a file that the job file names at a path, None where it is not looked into or has a finding. Blocks."""
    findings, place = context.findings, context.root / name
    if not context.read or findings.knows(where):
        return None
    if not place.is_file():
        findings.add(where, not_a_file(place), f"a file with {what}", neighbour(place, typed(where, name, findings)))
        return None
    try:
        return place.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        findings.add(where, "cannot be read", "a readable text in UTF-8")
    return None


def typed(where: KeyPath, name: str, findings: Findings) -> str:
    """Return a name as it was typed, which is not the value of its variables."""
    node = findings.node(where)
    return node.text if isinstance(node, Scalar) else name


def parse_found(found: PromptText, parse: Callable[[str], PromptTemplate], placeholders: str, findings: Findings) -> PromptTemplate | None:
    """Return the template of a text, None for one that is none: that is a finding with its line."""
    if findings.knows(found.path):
        return None
    try:
        return parse(found.text)
    except TemplateError as error:
        findings.add(found.path, f"{error}{_place(found, error.offset)}", placeholders, error.near)
    return None


def read_prompt(prompt: Prompt, root: Path) -> str:
    """Return the text of a prompt of a job that is opened. Blocks. Raises StorageError for a file that cannot be read."""
    if prompt.path is None:
        return prompt.text or ""
    path = root / prompt.path
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the prompt {path}: {os_words(error)}", hint="Correct `prompt` in the job file.") from error


def parse_read(text: str, parse: Callable[[str], PromptTemplate], job: str, key: str = "prompt") -> PromptTemplate:
    """Return the template of a text of a job that is opened, which stands under a key. Raises UsageError for one that is none."""
    try:
        return parse(text)
    except TemplateError as error:
        raise UsageError(f"the prompt of the job {job} cannot be used: {error}", hint=f"Correct `{key}` in the job file.") from error


def _place(found: PromptText, offset: int) -> str:
    text = found.text
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return f" ({found.file}:{line}:{column})" if found.file else f" (line {line} of it)" if "\n" in text.strip() else ""
