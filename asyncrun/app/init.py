"""A job file to start from, and the schema that editors check it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from asyncrun.errors import OutputError, Place, os_words
from asyncrun.jobfile.schema import job_file_schema
from asyncrun.state_folder import write_new

SCHEMA = "asyncrun.schema.json"
_STARTER = f"""\
# yaml-language-server: $schema={SCHEMA}
# A job file of asyncrun. Check it with `asyncrun validate`, see what a run would do with `asyncrun plan`, run it with `asyncrun run`:
# what is finished is not done again. Paths start at this file's folder.

jobs:
  # embed: one row with its vector for each item, in input order.
  - name: embed-notes
    kind: embed
    input:                              # or a path or glob: notes.jsonl, "notes/**/*.md", "-" for standard input
      items:
        - The first text.
        - The second text.
    output: out/notes.jsonl             # or .parquet, .csv, .npy, "-"
    # embedder: openai/text-embedding-3-small   # default: local, which needs no key and no network
    # max_failures: 1%                  # past it the job fails; the items that fail are named in any case
    # budget: {{tokens: 1000000}}         # stops before the call that would pass it

  # ingest: documents in chunks, into a store.
  # - name: ingest-docs
  #   kind: ingest
  #   input: {{path: "docs/**/*"}}        # text, Markdown, code, DOCX; with pip install 'asyncrun[documents]' PDF and HTML, too
  #   chunk: {{by: markdown, size: 256}}  # at headings first; or sentence, page, code, token, none
  #   store: {{type: sqlite, path: index.db}}   # or pgvector, qdrant, lancedb
  #   collection: docs
  #   # prune: true                     # what has left the folder leaves the collection
  #   # on_new_space: rebuild           # another model later: beside the old, then swapped; default: refuse

  # query: the best hits for each question.
  # - name: ask
  #   kind: query
  #   needs: [ingest-docs]
  #   input: {{items: ["What is this about?"]}}   # or {{path: questions.jsonl, text: question}}
  #   store: {{type: sqlite, path: index.db}}
  #   collection: docs
  #   search: hybrid                    # vector, keyword, or both fused
  #   top_k: 5
  #   output: out/answers.jsonl

  # generate: one answer of a chat model for each item.
  # - name: summaries
  #   kind: generate
  #   input: {{path: notes.jsonl}}
  #   llm: {{provider: ollama, model: llama3.2}}  # or openai, anthropic, gemini...; `delivery: batch`: by morning, for half the price
  #   prompt: "Summarise in one sentence: {{text}}"
  #   # schema: {{path: summary.schema.json}}     # each answer is then JSON that keeps to it
  #   output: out/summaries.jsonl
"""


def write_starter(path: Path, in_the_way: Sequence[str] = ()) -> list[Path]:
    """Write a job file and, where it is not there yet, its schema beside it. Returns what was written.

    `in_the_way` are names that must not be there either. Raises OutputError; nothing is ever written over.
    """
    for name in (*in_the_way, str(path)):
        if Path(name).exists():
            raise OutputError("there is a job file already", place=Place(name), hint="Name another one: asyncrun init FILE, or remove it.")
    try:
        write_new(path, _STARTER)
        schema = path.with_name(SCHEMA)
        try:
            write_new(schema, render_schema() + "\n")
        except FileExistsError:
            return [path]
    except OSError as error:
        raise OutputError(
            f"cannot be written: {os_words(error)}", place=Place(error.filename or str(path)), hint="Choose another place."
        ) from error
    return [path, schema]


def render_schema() -> str:
    """Return the JSON Schema of the job file as a text."""
    return json.dumps(job_file_schema(), indent=2)
