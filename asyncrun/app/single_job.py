"""One embed or generate job without a job file: its words become the text of one, which runs, and can be kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncrun.app.flag_overrides import load_jobs
from asyncrun.app.request import Request
from asyncrun.errors import JobFileError, OutputError, Place, UsageError, os_words
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.state_folder import write_new

Reading = Mapping[str, str | tuple[str, ...]]
"""Keys of an input beside its path, as the call has them."""
_WORDS = {
    **{"input": "INPUT", "output": "--output", "embedder": "--embedder", "llm": "--llm"},
    **{key: f"--{key}" for key in ("prompt", "system", "schema")},
    **{f"input.{key}": f"--{key}" for key in ("text", "id", "metadata", "format", "encoding", "delimiter")},
}
"""What the keys of the job are called on the command line."""


@dataclass(frozen=True, slots=True)
class SingleJob:
    """A job file of one job: its text, and a name for it where it is not kept, the same for the same words."""

    title: str
    text: str


def describe_embed(inputs: Sequence[str], output: str, embedder: str, folder: Path, reading: Reading | None = None) -> SingleJob:
    """Return the job file in `folder` of an embed job; its paths start at the working directory, `reading` are more keys of its input.

    >>> print(describe_embed(["notes.jsonl"], "out/vectors.jsonl", "voyage", Path.cwd()).text, end="")
    jobs:
      - name: "vectors"
        kind: embed
        input: "notes.jsonl"
        embedder: {provider: "voyage"}
        output: "out/vectors.jsonl"
    """
    named = _quoted(embedder) if "/" in embedder or embedder == "local" else "{provider: " + _quoted(embedder) + "}"
    return _described("embed", inputs, output, folder, reading=reading or {}, own={"embedder": named})


@dataclass(frozen=True, slots=True)
class RowPrompt:
    """What a model is asked about each row, and which: `llm` is `provider/model`, `schema` the path of a JSON Schema."""

    llm: str
    prompt: str
    system: str | None = None
    schema: str | None = None


def describe_generate(inputs: Sequence[str], output: str, question: RowPrompt, folder: Path, reading: Reading | None = None) -> SingleJob:
    """Return the job file in `folder` of a generate job; its paths start at the working directory, `reading` are more keys of its input.

    >>> question = RowPrompt("ollama/llama3.2", "Summarise: {text}")
    >>> print(describe_generate(["notes.jsonl"], "short.jsonl", question, Path.cwd()).text, end="")
    jobs:
      - name: "short"
        kind: generate
        input: "notes.jsonl"
        llm: {provider: "ollama", model: "llama3.2"}
        prompt: "Summarise: {text}"
        output: "short.jsonl"
    """
    provider, slash, model = question.llm.partition("/")
    own = {"llm": f"{{provider: {_quoted(provider)}, model: {_quoted(model)}}}" if slash else f"{{provider: {_quoted(provider)}}}"}
    if question.system is not None:
        own["system"] = _quoted(question.system)
    own["prompt"] = _quoted(question.prompt)
    if question.schema is not None:
        own["schema"] = f"{{path: {_quoted(_seen_from(folder, question.schema))}}}"
    return _described("generate", inputs, output, folder, reading=reading or {}, own=own)


def check_single(request: Request, command: str) -> None:
    """Raise UsageError with what is wrong with the words of the call of a command, in their own names."""
    try:
        load_jobs(request)
    except JobFileError as error:
        told = [(mistake.path.removeprefix("jobs[0]."), mistake) for mistake in error.mistakes]
        words = [f"{_flag_of(key)}: {_sentence(str(mistake), key)}" for key, mistake in told]
        raise UsageError("; ".join(words), hint=f"See asyncrun {command} --help.") from None


def save_job_file(path: Path, text: str) -> None:
    """Keep a job file; one that is there with the same text stays. Raises OutputError for another one."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass  # Then it is another one, or cannot be written either.
    try:
        write_new(path, text)
    except FileExistsError as error:
        hint = f"Run it: asyncrun run {path}, or choose another name for --save."
        raise OutputError("the file is there already, and is another job", place=Place(str(path)), hint=hint) from error
    except OSError as error:
        raise OutputError(f"cannot be written: {os_words(error)}", place=Place(str(path)), hint="Choose another --save.") from error


def _described(kind: str, inputs: Sequence[str], output: str, folder: Path, *, reading: Reading, own: Mapping[str, str]) -> SingleJob:
    paths = [_seen_from(folder, path) for path in inputs]
    path = _quoted(paths[0]) if len(paths) == 1 else _listed(paths)
    more = {key: _quoted(value) if isinstance(value, str) else _listed(value) for key, value in reading.items()}
    name = _name(output, kind)
    lines = [
        "jobs:",
        f"  - name: {_quoted(name)}",
        f"    kind: {kind}",
        *(["    input:", *(f"      {key}: {words}" for key, words in {"path": path, **more}.items())] if more else [f"    input: {path}"]),
        *(f"    {key}: {words}" for key, words in own.items()),
        f"    output: {_quoted(_seen_from(folder, output))}",
    ]
    text = "\n".join(lines) + "\n"
    return SingleJob(f"{kind}-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", text)


def _flag_of(key: str) -> str:
    whole = key.partition("[")[0]
    return _WORDS.get(whole) or _WORDS.get(whole.partition(".")[0], key)


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _sentence(mistake: str, key: str) -> str:
    return mistake.partition(f"jobs[0].{key}: ")[2] or mistake


def _seen_from(folder: Path, path: str) -> str:
    if path == STDOUT or path.startswith("/") or folder == Path.cwd():
        return path
    return os.path.relpath(path, folder)


def _name(output: str, kind: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", Path(output).stem.lower()).strip("-")[:40] or kind


def _quoted(text: str) -> str:
    """Return a text as YAML writes it in double quotes; it holds no variable."""
    return json.dumps(text.replace("$", "$$"), ensure_ascii=False)
