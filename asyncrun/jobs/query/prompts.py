"""How a query job answers: its chat model, and its prompt in place or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun.embedders.tokenizer import load_tokenizer
from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.grammar.prompt import DEFAULT_PROMPT, TemplateError, parse_prompt
from asyncrun.jobfile.jobs import Prompt
from asyncrun.jobs.questions import Answering
from asyncrun.llms.interface import Llm

if TYPE_CHECKING:
    from asyncrun.jobs.query.kind import QueryJob


def build_answering(job: QueryJob, llm: Llm, root: Path) -> Answering:
    """Return how a job answers. Blocks.

    Raises StorageError for a prompt that cannot be read, UsageError for one that is no template, and for a tokenizer that is not there.
    """
    try:
        template = parse_prompt(_prompt(job.prompt, root))
    except TemplateError as error:
        raise UsageError(f"the prompt of the job {job.name} cannot be used: {error}", hint="Correct `prompt` in the job file.") from error
    name = job.llm.tokenizer if job.llm is not None else None
    tokenizer = None if name is None else load_tokenizer(str(root / name) if name.endswith(".json") else name)
    return Answering(llm, template, job.context_tokens, tokenizer, name)


def _prompt(prompt: Prompt | None, root: Path) -> str:
    if prompt is None or prompt.path is None:
        return DEFAULT_PROMPT if prompt is None or prompt.text is None else prompt.text
    path = root / prompt.path
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the prompt {path}: {os_words(error)}", hint="Correct `prompt` in the job file.") from error
