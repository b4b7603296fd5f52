"""Every mistake of a job file is told with its line and column, what is allowed, and what was probably meant."""

from __future__ import annotations

import pytest

from asyncrun import registry

JOB = "name: a, kind: embed, input: i, output: o.jsonl"


def marked(text: str) -> tuple[str, str]:
    """Return a text without its mark, and the place where the mark stood; JOB stands for a job without mistakes."""
    text = text.replace("JOB", JOB)
    before = text[: text.index("§")]
    return text.replace("§", ""), f"f:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


ONE_MISTAKE = {
    "unknown key at the top": (
        "§job: 1\njobs: [{JOB}]",
        "job: unknown key; allowed: version, vars, defaults, embedders, llms, stores, trace, executor, notify, metrics, jobs; "
        "did you mean 'jobs'?",
    ),
    "a name that is kept for a generation": (
        "jobs: [{name: a, kind: ingest, input: {items: [x]}, collection: §docs@rebuild}]",
        "jobs[0].collection: such a name is kept for the next or a former generation of a collection; allowed: a name with another ending",
    ),
    "no jobs": (
        "§version: 1",
        "jobs: missing; allowed: a list of jobs",
    ),
    "jobs that are no list": (
        "jobs: §{a: 1}",
        "jobs: no list of jobs",
    ),
    "no job at all": (
        "jobs: §[]",
        "jobs: no list of jobs",
    ),
    "a job that is a word": (
        "jobs: [§notes]",
        "jobs[0]: not a job; allowed: a mapping such as {name: notes,",
    ),
    "a list as job file": (
        "§- a",
        "not a job file; allowed: a mapping with jobs",
    ),
    "version of the future": (
        "version: §2\nbananas: 1",
        "version: this asyncrun reads version 1 of the job file; a newer asyncrun reads version 2 (pip install -U asyncrun)",
    ),
    "no version at all": (
        "version: §one\njobs: [{JOB}]",
        "version: not a version of the job file; allowed: 1",
    ),
    "no kind": (
        "jobs: [§{name: a, input: i, output: o.jsonl}]",
        "jobs[0].kind: missing; allowed: embed, generate, ingest, query",
    ),
    "unknown kind": (
        "jobs: [{name: a, kind: §embd, input: i, output: o.jsonl}]",
        "jobs[0].kind: unknown kind 'embd'; allowed: embed, generate, ingest, query; did you mean 'embed'?",
    ),
    "no name": (
        "jobs: [§{kind: embed, input: i, output: o.jsonl}]",
        "jobs[0].name: missing",
    ),
    "no input": (
        "jobs: [§{name: a, kind: embed, output: o.jsonl}]",
        "jobs[0].input: missing",
    ),
    "no output": (
        "jobs: [§{name: a, kind: embed, input: i}]",
        "jobs[0].output: missing",
    ),
    "unknown key of a job": (
        "jobs:\n- {JOB,\n   §worker: 3}",
        "jobs[0].worker: unknown key; allowed: name, kind, ",
    ),
    "key of the embedder at the job": (
        "jobs:\n- {JOB,\n   §delivery: batch}",
        "jobs[0].delivery: unknown key; allowed: name, kind, needs, input, workers, max_failures, skip, max_runtime, budget, notify, "
        "embedder, deadline, stragglers, output; did you mean 'embedder.delivery'?",
    ),
    "unknown key deep down": (
        "jobs:\n- {JOB, embedder: {provider: local, batch: {§max_item: 3}}}",
        "jobs[0].embedder.batch.max_item: unknown key; allowed: max_items, max_tokens, max_bytes; did you mean 'max_items'?",
    ),
    "name with other characters": (
        "jobs: [{name: §My Notes, kind: embed, input: i, output: o.jsonl}]",
        "jobs[0].name: not a name; allowed: small letters a-z, digits, '_' and '-'; did you mean 'my-notes'?",
    ),
    "a name twice": (
        "jobs:\n- {JOB}\n- {name: §a, kind: embed, input: i, output: p.jsonl}",
        "jobs[1].name: jobs[0] has this name too",
    ),
    "no as a text": (
        "jobs: [{name: §no, kind: embed, input: i, output: o.jsonl}]",
        'jobs[0].name: no means false in YAML; as a text it is written "no"; allowed: a text',
    ),
    "a number as a text": (
        "jobs: [{JOB, skip: §1e3}]",
        'jobs[0].skip: the number 1e3 stands here; as a text it is written "1e3"; allowed: a text',
    ),
    "12:30": (
        "jobs: [{JOB, embedder: {provider: local, timeout: §12:30}}]",
        'jobs[0].embedder.timeout: YAML reads 12:30 as the number 750 (base 60); write 750, or the text as "12:30"',
    ),
    "0123": (
        "jobs: [{JOB, workers: §0123}]",
        "jobs[0].workers: YAML reads 0123 as a number in base 8 or in base 10",
    ),
    "yes as a number": (
        "jobs: [{JOB, workers: §yes}]",
        "jobs[0].workers: yes means true in YAML; allowed: auto, or a whole number",
    ),
    "nothing after the colon": (
        "jobs:\n- {JOB}\n- name: b\n  kind: embed\n  input: i\n  output:§",
        "jobs[1].output: nothing stands here; allowed: a path, or a mapping",
    ),
    "a list for a text": (
        "jobs: [{JOB, skip: §[x]}]",
        "jobs[0].skip: a list stands here; allowed: a text",
    ),
    "a mapping for a list": (
        "jobs: [{JOB, needs: §{a: 1}}]",
        "jobs[0].needs: a mapping stands here; allowed: a list",
    ),
    "a number for a mapping": (
        "jobs: [{JOB}]\ntrace: §5",
        "trace: the number 5 stands here; allowed: a mapping",
    ),
    "a number for a flag": (
        "jobs: [{JOB}]\ntrace: {text: §1}",
        "trace.text: the number 1 stands here; allowed: true or false",
    ),
    "bad duration": (
        "jobs: [{JOB}]\ntrace: {keep: §30x}",
        "trace.keep: no such unit of time; allowed: seconds above 0 such as 30, or 500ms",
    ),
    "no duration": (
        "jobs: [{JOB}]\ntrace: {keep: §0}",
        "trace.keep: 0 seconds; allowed: seconds above 0",
    ),
    "bad size": (
        "jobs: [{JOB}]\ntrace: {max_size: §5 apples}",
        "trace.max_size: no such unit of size; allowed: bytes such as",
    ),
    "bad percentage": (
        "jobs: [{JOB, max_failures: §120%}]",
        "jobs[0].max_failures: more than all; allowed: a whole number such as 10",
    ),
    "negative threshold": (
        "jobs: [{JOB, max_failures: §-1}]",
        "jobs[0].max_failures: the number -1 stands here; allowed: a whole number",
    ),
    "0 in limits": (
        "embedders:\n  e:\n    provider: openai\n    model: m\n    limits: {requests_per_minute: §0}\njobs: [{JOB}]",
        "embedders.e.limits.requests_per_minute: nothing could ever be sent; allowed: more than 0",
    ),
    "no concurrency": (
        "jobs: [{JOB, embedder: {provider: openai, model: m, limits: {concurrency: §0}}}]",
        "jobs[0].embedder.limits.concurrency: the number 0 stands here; allowed: 1 or more",
    ),
    "no share": (
        "jobs: [{JOB, embedder: {provider: openai, model: m, limits: {share: §0%}}}]",
        "jobs[0].embedder.limits.share: nothing at all; allowed: a percentage above 0",
    ),
    "overlap of the whole chunk": (
        "jobs:\n- name: a\n  kind: ingest\n  input: i\n  chunk: {size: 8, overlap: §8}",
        "jobs[0].chunk.overlap: the overlap is not below the size; allowed: 0 to 7",
    ),
    "unknown search": (
        "jobs: [{name: a, kind: query, input: i, output: o.jsonl, search: §vectr}]",
        "jobs[0].search: the text 'vectr' stands here; allowed: vector, keyword, hybrid; did you mean 'vector'?",
    ),
    "unknown way to cut": (
        "jobs: [{name: a, kind: ingest, input: i, chunk: {by: §sentense}}]",
        "jobs[0].chunk.by: unknown way to cut 'sentense'; allowed: code, heading, markdown, none, page, sentence, token; "
        "did you mean 'sentence'?",
    ),
    "unknown format": (
        "jobs: [{name: a, kind: embed, input: {path: i, format: §json}, output: o.jsonl}]",
        "jobs[0].input.format: unknown format 'json'; allowed: auto",
    ),
    "path and items": (
        "jobs: [{name: a, kind: embed, input: §{path: i, items: [a]}, output: o.jsonl}]",
        "jobs[0].input: path and items stand together",
    ),
    "neither path nor items": (
        "jobs: [{name: a, kind: embed, input: §{text: t}, output: o.jsonl}]",
        "jobs[0].input: no path and no items",
    ),
    "a number as item": (
        "jobs: [{name: a, kind: embed, input: {items: [a, §5]}, output: o.jsonl}]",
        "jobs[0].input.items[1]: the number 5 stands here",
    ),
    "output with another ending": (
        "jobs: [{name: a, kind: embed, input: i, output: §o.txt}]",
        "jobs[0].output: the ending of the path names no format; allowed: .jsonl, .ndjson, .parquet, .csv, .npy, '-'",
    ),
    "vectors of a query": (
        "jobs: [{name: a, kind: query, input: i, store: {type: sqlite, path: s.db}, collection: c, output: §o.npy}]",
        "jobs[0].output: an .npy file holds embeddings, and the rows of a query have none; allowed: .jsonl, .ndjson, .parquet, .csv, '-'",
    ),
    "columns of an array": (
        "jobs: [{name: a, kind: embed, input: i, output: {path: o.npy, columns: §[id]}}]",
        "jobs[0].output.columns: an .npy file holds embeddings and ids, without a choice of columns",
    ),
    "a path with NUL": (
        'jobs: [{JOB, skip: §"a\\0b"}]',
        "jobs[0].skip: a path cannot hold a NUL character",
    ),
    "a job that needs itself": (
        "jobs: [{JOB, needs: §[a]}]",
        "jobs[0].needs: jobs need each other: a -> a",
    ),
    "a circle of needs": (
        "jobs:\n"
        "- {JOB, needs: §[b]}\n"
        "- {name: b, kind: embed, input: i, output: p.jsonl, needs: [c]}\n"
        "- {name: c, kind: embed, input: i, output: q.jsonl, needs: [a]}",
        "jobs[0].needs: jobs need each other: a -> b -> c -> a; allowed: needs that come to an end",
    ),
    "a circle of files": (
        "jobs:\n- {name: a, kind: embed, input: §b.jsonl, output: a.jsonl}\n- {name: b, kind: embed, input: a.jsonl, output: b.jsonl}",
        "jobs[0].input: jobs need each other: a -> b -> a",
    ),
    "unknown embedder": (
        "embedders: {small: {provider: local}}\njobs: [{JOB, embedder: §smal}]",
        "jobs[0].embedder: unknown embedder 'smal'; allowed: small, local, or provider/model such as "
        "openai/text-embedding-3-small; did you mean 'small'?",
    ),
    "unknown provider": (
        "embedders: {e: {provider: §opnai, model: m}}\njobs: [{JOB}]",
        "embedders.e.provider: unknown provider 'opnai'; allowed: azure, cohere, gemini, heroku, huggingface, infinity, isaacus, "
        "jina, litellm, llama-index, llamacpp, lmstudio, local, mistral, ollama, openai, tei, vllm, voyage "
        "(openai with base_url for any compatible server); did you mean 'openai'?",
    ),
    "unknown provider of the short form": (
        "jobs: [{JOB, embedder: §opnai/m}]",
        "jobs[0].embedder: unknown provider 'opnai/m'; allowed: azure",
    ),
    "no model": (
        "embedders: {e: §{provider: openai}}\njobs: [{JOB}]",
        "embedders.e.model: missing; allowed: a model's name",
    ),
    "no model of another provider": (
        "jobs: [{JOB, embedder: §{provider: voyage}}]",
        "jobs[0].embedder.model: missing; allowed: a model's name of voyage",
    ),
    "no class of LlamaIndex": (
        "jobs: [{JOB, embedder: §{provider: llama-index}}]",
        "jobs[0].embedder.options: missing; allowed: {class: llama_index.core.MockEmbedding, args: {}}",
    ),
    "an address for a class": (
        "jobs: [{JOB, embedder: {provider: llama-index, options: {class: a.B}, §base_url: http://x}}]",
        "jobs[0].embedder.base_url: the class has its own arguments; allowed: options.args",
    ),
    "options of a provider that has none": (
        "jobs: [{JOB, embedder: {provider: openai, model: m, §options: {a: 1}}}]",
        "jobs[0].embedder.options: the provider openai has no options; allowed: extra_body, or no options",
    ),
    "a version of an API that has none": (
        "jobs: [{JOB, embedder: {provider: openai, model: m, §api_version: v1}}]",
        "jobs[0].embedder.api_version: the provider openai has no versions to choose from; allowed: azure",
    ),
    "another local model": (
        "jobs: [{JOB, embedder: {provider: local, model: §x}}]",
        "jobs[0].embedder.model: the provider local carries one model; allowed: all-MiniLM-L6-v2, or no model",
    ),
    "an address without a scheme": (
        "jobs: [{JOB, embedder: {provider: openai, model: m, base_url: §host/v1}}]",
        "jobs[0].embedder.base_url: not the address of a server; allowed: http://HOST:PORT or https://HOST/PATH",
    ),
    "a password in an address": (
        'jobs: [{JOB, embedder: {provider: openai, model: m, base_url: §"http://user:word@host/v1"}}]',
        "jobs[0].embedder.base_url: a name or a password must not stand in an address, which is shown; allowed: api_key, or a header",
    ),
    "a key in the query string of an address": (
        'jobs: [{JOB, embedder: {provider: openai, model: m, base_url: §"http://host/v1?key=k"}}]',
        "jobs[0].embedder.base_url: what follows '?' or '#' must not stand in an address, which is shown; allowed: params: {",
    ),
    "an address for the provider local": (
        "jobs: [{JOB, embedder: {provider: local, §base_url: http://x}}]",
        "jobs[0].embedder.base_url: the provider local does not use it; allowed: batch, dimensions, ",
    ),
    "limits for the provider local": (
        "embedders: {e: {provider: local, §limits: {concurrency: 2}, headers: {}}}\njobs: [{JOB}]",
        "embedders.e.limits: the provider local does not use it",
    ),
    "an address for sqlite": (
        "stores: {s: {path: x.db, §url: http://x}}\njobs: [{JOB}]",
        "stores.s.url: the store type sqlite does not use it; allowed: path, type",
    ),
    "a schema for sqlite, in place": (
        "jobs: [{name: a, kind: ingest, input: i, store: {§schema: public}}]",
        "jobs[0].store.schema: the store type sqlite does not use it",
    ),
    "a table of sqlite that is not made": (
        "stores: {s: {§create: false}}\njobs: [{JOB}]",
        "stores.s.create: the store type sqlite does not use it",
    ),
    "processes of this process": (
        "executor: {type: local, §processes: 4}\njobs: [{JOB}]",
        "executor.processes: the executor local does not use it; allowed: type",
    ),
    "an address of processes": (
        "executor: {type: processes, §address: auto}\njobs: [{JOB}]",
        "executor.address: the executor processes does not use it; allowed: processes, type",
    ),
    "unknown executor": (
        "executor: {type: §process}\njobs: [{JOB}]",
        "executor.type: the text 'process' stands here; allowed: local, processes, ray; did you mean 'processes'?",
    ),
    "unknown store": (
        "stores: {docs: {path: x.db}}\njobs: [{name: a, kind: ingest, input: i, store: §dosc}]",
        "jobs[0].store: unknown store 'dosc'; allowed: docs; did you mean 'docs'?",
    ),
    "unknown store type": (
        "stores: {docs: {type: §sqlit}}\njobs: [{name: a, kind: ingest, input: i, store: docs}]",
        f"stores.docs.type: unknown store type 'sqlit'; allowed: {', '.join(registry.names('stores'))}; did you mean 'sqlite'?",
    ),
    "an address that nobody can ping": (
        "notify: {ping: §hc-ping.example/secret}\njobs: [{JOB}]",
        "notify.ping: not an address that can be pinged; allowed: https://HOST/...",
    ),
    "an address of another kind": (
        "notify: {ping: §ftp://hc-ping.example/secret}\njobs: [{JOB}]",
        "notify.ping: not an address that can be pinged; allowed: https://HOST/...",
    ),
    "metrics to stdout": (
        'metrics: §"-"\njobs: [{JOB}]',
        "metrics: figures are written to a file, which is replaced as a whole; allowed: a path, such as run.prom",
    ),
    "metrics that are no path": (
        "metrics: §[a.prom]\njobs: [{JOB}]",
        "metrics: a list stands here; allowed: a text",
    ),
    "metrics over an output": (
        "metrics: §./o.jsonl\njobs: [{JOB}]",
        "metrics: the file is the output of the job a; allowed: another path",
    ),
    "metrics over an input": (
        "metrics: §i\njobs: [{JOB}]",
        "metrics: the file is an input of the job a; allowed: another path",
    ),
    "metrics in the state folder": (
        "metrics: §.asyncrun/run.prom\njobs: [{JOB}]",
        "metrics: the file is in the state folder; allowed: another path",
    ),
    "two jobs write one output": (
        "jobs:\n- {JOB}\n- {name: b, kind: embed, input: i, output: §./x/../o.jsonl}",
        "jobs[1].output: the job 'a' writes this output too; allowed: an output of its own",
    ),
    "two jobs write to stdout": (
        'jobs:\n- {name: a, kind: embed, input: i, output: "-"}\n- {name: b, kind: embed, input: i, output: §"-"}',
        "jobs[1].output: the job 'a' writes to stdout already",
    ),
    "an output that is the input": (
        "jobs: [{name: a, kind: embed, input: x.jsonl, output: §./x.jsonl}]",
        "jobs[0].output: the output is an input of this job: an input cannot be an output",
    ),
    "an output that the input's glob takes in": (
        'jobs: [{name: a, kind: embed, input: "out/**/*.jsonl", output: §out/a/x.jsonl}]',
        "jobs[0].output: the output is an input of this job",
    ),
    "an output over the job file": (
        "jobs: [{name: a, kind: embed, input: i, output: §{path: f, format: jsonl}}]",
        "jobs[0].output: the output is the job file",
    ),
    "an unknown default": (
        "defaults: {§max_failure: 1%}\njobs: [{JOB}]",
        "defaults.max_failure: no option of a job; allowed: ",
    ),
    "a wrong default, told once": (
        "defaults: {max_failures: §x}\njobs: [{JOB}, {name: b, kind: embed, input: i, output: p.jsonl}]",
        "defaults.max_failures: the text 'x' stands here",
    ),
    "a name in the defaults": (
        "defaults: {§name: x}\njobs: [{JOB}]",
        "defaults.name: no option of a job",
    ),
    "embedders that are no mapping": (
        "embedders: §[local]\njobs: [{JOB}]",
        "embedders: not a mapping",
    ),
    "a variable's name": (
        "vars: {§a-b: x}\njobs: [{JOB}]",
        "vars.a-b: not a variable's name",
    ),
    "a variable that is a list": (
        "vars: {a: §[x]}\njobs: [{JOB}]",
        "vars.a: a variable holds one text",
    ),
}


@pytest.mark.parametrize(("text", "expected"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_told_once_and_at_its_place(mistakes, text, expected):
    text, place = marked(text)
    (line,) = mistakes(text)
    assert line.startswith(f"{place}: {expected}")


@pytest.mark.needs("qdrant")
def test_a_search_that_the_store_has_not_is_told_once_and_at_its_place(mistakes):
    text, place = marked("jobs: [{name: a, kind: query, input: i, output: o.jsonl, store: {type: qdrant}, search: §hybrid}]")
    (line,) = mistakes(text)
    assert line.startswith(f"{place}: jobs[0].search: a store of the type qdrant has no hybrid search; allowed: vector")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(mistakes):
    text = """\
embedders:
  e: {provider: opnai, model: m, timout: 3s}
jobs:
  - {name: a, kind: embed, inptu: i, output: o.txt}
  - {name: b, kind: ingest, input: i, chunk: {size: big}, needs: [c]}
  - {name: b, kind: query, input: "${NOWHERE}", output: o.npy, top_k: 0}
  - {name: d, kind: embd, input: i, output: o.jsonl, bogus: 1}
"""
    places = [line.split(": ")[0] + " " + line.split(": ")[1] for line in mistakes(text)]
    assert places == [
        "f:2:17 embedders.e.provider",
        "f:2:34 embedders.e.timout",
        "f:4:5 jobs[0].input",
        "f:4:28 jobs[0].inptu",
        "f:4:46 jobs[0].output",
        "f:5:53 jobs[1].chunk.size",
        "f:5:67 jobs[1].needs[0]",
        "f:6:12 jobs[2].name",
        "f:6:35 jobs[2].input",
        "f:6:57 jobs[2].output",
        "f:6:71 jobs[2].top_k",
        "f:7:21 jobs[3].kind",
        "f:7:54 jobs[3].bogus",
    ]


def test_a_job_that_is_half_wrong_is_still_checked_against_the_others(mistakes):
    text = f"jobs:\n- {{{JOB}}}\n- {{name: b, kind: embed, output: o.jsonl, needs: [c]}}"
    assert [line.split(": ", 1)[1].split(";")[0] for line in mistakes(text)] == [
        "jobs[1].input: missing",
        "jobs[1].output: the job 'a' writes this output too",
        "jobs[1].needs[0]: no job is named 'c'",
    ]


def test_a_mistake_below_an_alias_is_told_where_it_was_typed(mistakes):
    text, place = marked(
        "jobs:\n- {JOB, embedder: &e {provider: local, timeout: §x}}\n- {name: b, kind: embed, input: i, output: p.jsonl, embedder: *e}"
    )
    found = [line.split(": the text")[0] for line in mistakes(text)]
    assert found == [f"{place}: jobs[0].embedder.timeout", f"{place}: jobs[1].embedder.timeout"]


def test_names_that_would_steer_a_terminal_are_written_out(mistakes):
    text = f'jobs: [{{{JOB}, needs: [b]}}, {{name: "\u202ec", kind: embed, input: i, output: p.jsonl}}]'
    (line,) = [line for line in mistakes(text) if "no job is named" in line]
    assert "allowed: a, \\u202ec" in line


def test_two_limits_for_one_key_are_a_mistake(mistakes):
    text = """\
embedders:
  a: {provider: openai, model: m, api_key: "${K}", limits: {requests_per_minute: 10}}
  b: {provider: openai, model: m, api_key: "${K}", limits: {requests_per_minute: 20}}
  c: {provider: openai, model: m, api_key: "${L}", limits: {requests_per_minute: 30}}
  d: {provider: openai, model: m, api_key: "${K}"}
jobs: [{name: a, kind: embed, input: i, output: o.jsonl}]
"""
    expected = "f:3:52: embedders.b.limits: embedders.a states other limits for the same endpoint, key and model"
    assert [line.split(";")[0] for line in mistakes(text, environ={"K": "1", "L": "2"})] == [expected]


def test_a_budget_of_money_needs_a_price(mistakes):
    text, place = marked("jobs: [{JOB, embedder: openai/m, budget: {cost: §5}}]")
    assert any(line.startswith(f"{place}: jobs[0].budget.cost: a budget of money needs a price") for line in mistakes(text))
