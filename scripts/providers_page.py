"""Writes docs/providers.md from the table of providers.

Usage: `python scripts/providers_page.py` writes it, `--check` says whether it is up to date (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from asyncrun.embedders.providers import PROVIDERS, Provider
from asyncrun.llms.providers import CHAT_PROVIDERS, ChatProvider
from asyncrun.llms.wire import SchemaForm

PAGE = Path(__file__).resolve().parents[1] / "docs" / "providers.md"
HEAD = """\
# Providers

Made by `scripts/providers_page.py` from `asyncrun/endpoints/vendors.py`, `asyncrun/embedders/providers.py` and
`asyncrun/llms/providers.py`; limits are those of November 2026, and vendors change them. What the job file or an argument states goes
before. Embeddings come first; [chat models](#chat-models) stand at the end.

`provider: openai` with `base_url` asks any server that speaks OpenAI's dialect. `provider: local` needs no key and no network. A
class of `asyncrun.embedders` belongs to each vendor: `CohereEmbedding`, `VoyageEmbedding`, `HerokuEmbedding`, `IsaacusEmbedding`,
... `provider: llama-index` with `options: {class, args}` embeds with any embedding class of LlamaIndex (extra `llama-index`).

Every provider of this table can be served by several endpoints: `endpoints` in the job file ([job-file.md](job-file.md)).

A key is looked for in its variable only when the address is the provider's own; it goes in a header, never in an address.

"""
TAIL = """
## What happens to texts that are too long

With `on_too_long: fail` (the default) the server is told to refuse such a text where it has a switch for this; the text fails
alone, the others get their vectors. With `truncate` a text that was refused is sent once more with the switch set to cut, and
counted; where there is no switch, asyncrun cuts by the tokenizer that the job file names, or by what the server says of sizes. A
server that cuts in silence is found out by the tokens that it counts, and a warning says so.

## What asyncrun warns of, once

A vector of zeros; vectors of fewer dimensions that are not of unit length; a model other than the one that was asked for; a usage
that counts characters (tokens and cost then stay unknown); a usage far too small for the texts; a vendor's own warnings.

## Dialects

"""
CHAT = """
## Chat models

Most speak OpenAI's `/chat/completions`, Anthropic its own `/v1/messages`: the system's words go beside the messages there, and an
answer has at most 4,096 tokens unless `max_output_tokens` says another number, since a number is demanded. A name that a server
refuses is left out or replaced by the other one, once, and the request is sent again.

"""
SCHEMAS = """
### Schemas

What a server is held to is told in the first of these forms; one that a server refuses is followed by the next, once for all
requests. A schema whose answers are no objects is never told as `tool` or `object`. Whatever the form, an answer is checked here: a
server may pass over what it does not know, and answer 200.

"""
FORMS = {
    SchemaForm.SCHEMA: "`response_format` with `json_schema`, `strict` where the schema keeps the rules; Anthropic's `output_config`",
    SchemaForm.TOOL: "a tool that has to be called, and takes the answer; Anthropic's where the schema breaks its rules",
    SchemaForm.OBJECT: "`response_format` with `json_object`, and the schema in the system's words",
    SchemaForm.WORDS: "the schema in the system's words alone",
}
DIALECTS = {
    "openai": "`input`, `model`; vectors under `data[].embedding`, in base64 where the server takes it",
    "cohere": "`texts`, `input_type`; vectors under `embeddings.float`",
    "gemini": "a request for each text in one body; vectors under `embeddings[].values`",
    "tei": "`inputs`; bare lists of vectors",
    "isaacus": "`texts`, `task`; vectors under `embeddings[].embedding`",
    "ollama": "`input`; vectors under `embeddings`",
}


def table(titles: list[str], rows: Iterator[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def addresses(row: Provider) -> list[str]:
    """Return the cells about where and with which key a provider is asked."""
    vendor = row.vendor
    where = [f"`{vendor.base_url}`"] if vendor.base_url else ["your own"]
    where += [f"`${name}`" for name in vendor.addresses]
    keys = " or ".join(f"`{name}`" for name in vendor.keys)
    models = [f"`{row.model}`"] if row.model else []
    models += [f"`${name}`" for name in row.models] or ([] if row.model else ["needed" if row.needs_model else "not needed"])
    return [f"`{vendor.name}`", vendor.title, row.dialect, " or ".join(where), keys or "–", f"`{vendor.auth}`", ", ".join(models)]


def sizes(row: Provider) -> list[str]:
    """Return the cells about how much a provider takes."""
    limits = [f"{row.batch.max_items:,} texts"]
    limits += [f"{row.batch.max_tokens:,} tokens"] if row.batch.max_tokens else []
    limits += [f"{row.batch.max_bytes:,} bytes"] if row.batch.max_bytes else []
    text = [f"{tokens:,} tokens{'' if pattern == '*' else f' (`{pattern}`)'}" for pattern, tokens in row.input_tokens]
    text += [f"{row.input_characters:,} characters"] if row.input_characters else []
    switch = ", ".join(f"`{name}`" for name in {**row.refuse, **row.cut}) or "none"
    return [f"`{row.vendor.name}`", ", ".join(limits), ", ".join(text) or "the model's", row.over_length, switch]


def words(row: Provider) -> list[str]:
    """Return the cells about the words of a request."""
    types = row.input_types
    told = f"`{types.document}` · `{types.query}`" if types.document else "–"
    return [
        f"`{row.vendor.name}`",
        f"`{types.field}`",
        told,
        f"`{row.dimensions}`" if row.dimensions else "–",
        "asked for" if row.base64 else "no",
        "yes" if row.vendor.self_hosted else "no",
        row.note,
    ]


def chats(row: ChatProvider) -> list[str]:
    """Return the cells about a chat model's provider."""
    vendor, terms = row.vendor, row.terms
    where = [f"`{vendor.base_url}`"] if vendor.base_url else ["your own"]
    where += [f"`${name}`" for name in vendor.addresses]
    keys = " or ".join(f"`{name}`" for name in vendor.keys)
    seed = f"`{terms.seed}`" if terms.seed else "–"
    forms = ", ".join(f"`{form}`" for form in terms.schema)
    return [f"`{vendor.name}`", " or ".join(where), keys or "–", f"`{row.path}`", f"`{terms.limits[0]}`", seed, forms]


def render_page() -> str:
    """Return the page."""
    rows = list(PROVIDERS.values())
    where = table(["provider", "", "dialect", "address", "key", "header", "model"], map(addresses, rows))
    much = table(["provider", "one request", "one text", "a longer one, when nothing is said", "switch"], map(sizes, rows))
    said = table(
        ["provider", "kind of text in", "documents · queries", "dimensions in", "base64", "host is part of the space", ""], map(words, rows)
    )
    dialects = table(["dialect", "in short"], ([f"`{name}`", line] for name, line in DIALECTS.items()))
    titles = ["provider", "address", "key", "path", "most tokens of an answer in", "seed in", "forms of a schema"]
    chat = table(titles, map(chats, CHAT_PROVIDERS.values()))
    forms = table(["form", "in short"], ([f"`{form}`", line] for form, line in FORMS.items()))
    return f"{HEAD}{where}\n## How much\n\n{much}\n## Words\n\n{said}{TAIL}{dialects}{CHAT}{chat}{SCHEMAS}{forms}"


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    wanted = render_page()
    check = parser.parse_args().check
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        sys.stderr.write("docs/providers.md is out of date; run: python scripts/providers_page.py\n")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
