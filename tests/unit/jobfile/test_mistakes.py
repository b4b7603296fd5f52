"""Every mistake of a job file is told with its line and column, what is allowed, and what was probably meant."""

from __future__ import annotations

import pytest

JOB = "name: a, kind: embed, input: i, output: o.jsonl"

ONE_MISTAKE = {
    "unknown key at the top": (
        f"job: 1\njobs: [{{{JOB}}}]",
        "f:1:1: job: unknown key; allowed: version, vars, defaults, embedders, llms, stores, trace, executor, notify, jobs; did you mean 'jobs'?",
    ),
    "no jobs": ("version: 1", "f:1:1: jobs: missing; allowed: a list of jobs"),
    "jobs that are no list": ("jobs: {a: 1}", "f:1:7: jobs: no list of jobs"),
    "no job at all": ("jobs: []", "f:1:7: jobs: no list of jobs"),
    "a job that is a word": ("jobs: [notes]", "f:1:8: jobs[0]: not a job; allowed: a mapping such as {name: notes,"),
    "a list as job file": ("- a", "f:1:1: not a job file; allowed: a mapping with jobs"),
    "version of the future": (
        "version: 2\nbananas: 1",
        "f:1:10: version: this asyncrun reads version 1 of the job file; a newer asyncrun reads version 2 (pip install -U asyncrun)",
    ),
    "no version at all": (f"version: one\njobs: [{{{JOB}}}]", "f:1:10: version: not a version of the job file; allowed: 1"),
    "no kind": ("jobs: [{name: a, input: i, output: o.jsonl}]", "f:1:8: jobs[0].kind: missing; allowed: embed, ingest, query"),
    "unknown kind": (
        "jobs: [{name: a, kind: embd, input: i, output: o.jsonl}]",
        "f:1:24: jobs[0].kind: unknown kind 'embd'; allowed: embed, ingest, query; did you mean 'embed'?",
    ),
    "no name": ("jobs: [{kind: embed, input: i, output: o.jsonl}]", "f:1:8: jobs[0].name: missing"),
    "no input": ("jobs: [{name: a, kind: embed, output: o.jsonl}]", "f:1:8: jobs[0].input: missing"),
    "no output": ("jobs: [{name: a, kind: embed, input: i}]", "f:1:8: jobs[0].output: missing"),
    "unknown key of a job": (f"jobs:\n- {{{JOB},\n   worker: 3}}", "f:3:4: jobs[0].worker: unknown key; allowed: name, kind, "),
    "unknown key deep down": (
        f"jobs:\n- {{{JOB}, embedder: {{provider: local, batch: {{max_item: 3}}}}}}",
        "f:2:91: jobs[0].embedder.batch.max_item: unknown key; allowed: max_items, max_tokens, max_bytes; did you mean 'max_items'?",
    ),
    "name with other characters": (
        "jobs: [{name: My Notes, kind: embed, input: i, output: o.jsonl}]",
        "f:1:15: jobs[0].name: not a name; allowed: small letters a-z, digits, '_' and '-'; did you mean 'my-notes'?",
    ),
    "a name twice": (f"jobs:\n- {{{JOB}}}\n- {{{JOB.replace('o.', 'p.')}}}", "f:3:10: jobs[1].name: jobs[0] has this name too"),
    "no as a text": (
        "jobs: [{name: no, kind: embed, input: i, output: o.jsonl}]",
        'f:1:15: jobs[0].name: no means false in YAML; as a text it is written "no"; allowed: a text',
    ),
    "a number as a text": (
        f"jobs: [{{{JOB}, skip: 1e3}}]",
        'f:1:63: jobs[0].skip: the number 1e3 stands here; as a text it is written "1e3"; allowed: a text',
    ),
    "12:30": (
        f"jobs: [{{{JOB}, embedder: {{provider: local, timeout: 12:30}}}}]",
        'f:1:94: jobs[0].embedder.timeout: YAML reads 12:30 as the number 750 (base 60); write 750, or the text as "12:30"',
    ),
    "0123": (f"jobs: [{{{JOB}, workers: 0123}}]", "f:1:66: jobs[0].workers: YAML reads 0123 as a number in base 8 or in base 10"),
    "yes as a number": (f"jobs: [{{{JOB}, workers: yes}}]", "f:1:66: jobs[0].workers: yes means true in YAML; allowed: auto, or a whole number"),
    "nothing after the colon": (f"jobs:\n- {{{JOB}}}\n- name: b\n  kind: embed\n  input: i\n  output:", "f:6:3: jobs[1].output: "),
    "a list for a text": (f"jobs: [{{{JOB}, skip: [x]}}]", "f:1:63: jobs[0].skip: a list stands here; allowed: a text"),
    "a mapping for a list": (f"jobs: [{{{JOB}, needs: {{a: 1}}}}]", "f:1:64: jobs[0].needs: a mapping stands here; allowed: a list"),
    "a number for a mapping": (f"jobs: [{{{JOB}}}]\ntrace: 5", "f:2:8: trace: the number 5 stands here; allowed: a mapping"),
    "a number for a flag": (f"jobs: [{{{JOB}}}]\ntrace: {{text: 1}}", "f:2:15: trace.text: the number 1 stands here; allowed: true or false"),
    "bad duration": (f"jobs: [{{{JOB}}}]\ntrace: {{keep: 30x}}", "f:2:15: trace.keep: no such unit of time; allowed: seconds above 0 such as 30, or 500ms"),
    "no duration": (f"jobs: [{{{JOB}}}]\ntrace: {{keep: 0}}", "f:2:15: trace.keep: 0 seconds; allowed: seconds above 0"),
    "bad size": (f"jobs: [{{{JOB}}}]\ntrace: {{max_size: 5 apples}}", "f:2:19: trace.max_size: no such unit of size; allowed: bytes such as"),
    "bad percentage": (f"jobs: [{{{JOB}, max_failures: 120%}}]", "f:1:71: jobs[0].max_failures: more than all; allowed: a whole number such as 10"),
    "negative threshold": (f"jobs: [{{{JOB}, max_failures: -1}}]", "f:1:71: jobs[0].max_failures: not a number with a unit; allowed: a whole number"),
    "0 in limits": (
        f"embedders:\n  e:\n    provider: openai\n    model: m\n    limits: {{requests_per_minute: 0}}\njobs: [{{{JOB}}}]",
        "f:5:35: embedders.e.limits.requests_per_minute: nothing could ever be sent; allowed: more than 0",
    ),
    "no concurrency": (
        f"jobs: [{{{JOB}, embedder: {{provider: local, limits: {{concurrency: 0}}}}}}]",
        "f:1:107: jobs[0].embedder.limits.concurrency: the number 0 stands here; allowed: 1 or more",
    ),
    "no share": (
        f"jobs: [{{{JOB}, embedder: {{provider: local, limits: {{share: 0%}}}}}}]",
        "f:1:101: jobs[0].embedder.limits.share: nothing at all; allowed: a percentage above 0",
    ),
    "overlap of the whole chunk": (
        "jobs:\n- name: a\n  kind: ingest\n  input: i\n  chunk: {size: 8, overlap: 8}",
        "f:5:29: jobs[0].chunk.overlap: the overlap is not below the size; allowed: 0 to 7",
    ),
    "unknown search": (
        "jobs: [{name: a, kind: query, input: i, output: o.jsonl, search: vectr}]",
        "f:1:66: jobs[0].search: the text 'vectr' stands here; allowed: vector, keyword, hybrid; did you mean 'vector'?",
    ),
    "unknown way to cut": (
        "jobs: [{name: a, kind: ingest, input: i, chunk: {by: sentense}}]",
        "f:1:54: jobs[0].chunk.by: unknown way to cut 'sentense'; allowed: none, sentence; did you mean 'sentence'?",
    ),
    "unknown format": (f"jobs: [{{{JOB.replace('input: i', 'input: {path: i, format: json}')}}}]", "f:1:55: jobs[0].input.format: unknown format 'json'; allowed: auto"),
    "path and items": (f"jobs: [{{{JOB.replace('input: i', 'input: {path: i, items: [a]}')}}}]", "f:1:37: jobs[0].input: path and items stand together"),
    "neither path nor items": (f"jobs: [{{{JOB.replace('input: i', 'input: {text: t}')}}}]", "f:1:37: jobs[0].input: no path and no items"),
    "a number as item": (f"jobs: [{{{JOB.replace('input: i', 'input: {items: [a, 5]}')}}}]", "f:1:49: jobs[0].input.items[1]: the number 5 stands here"),
    "output with another ending": (f"jobs: [{{{JOB.replace('o.jsonl', 'o.txt')}}}]", "f:1:48: jobs[0].output: the ending of the path names no format; allowed: .jsonl, .parquet, '-'"),
    "a path with NUL": (f'jobs: [{{{JOB}, skip: "a\\0b"}}]', "f:1:63: jobs[0].skip: a path cannot hold a NUL character"),
    "unknown need": (f"jobs: [{{{JOB}}}, {{{JOB.replace('name: a', 'name: notes').replace('o.', 'p.')}, needs: [b, a, nots]}}]", "f:1:"),
    "a job that needs itself": (f"jobs: [{{{JOB}, needs: [a]}}]", "f:1:64: jobs[0].needs: jobs need each other: a -> a"),
    "a circle of needs": (
        f"jobs:\n- {{{JOB}, needs: [b]}}\n- {{{JOB.replace('name: a', 'name: b').replace('o.', 'p.')}, needs: [c]}}\n"
        f"- {{{JOB.replace('name: a', 'name: c').replace('o.', 'q.')}, needs: [a]}}",
        "f:2:59: jobs[0].needs: jobs need each other: a -> b -> c -> a; allowed: needs that come to an end",
    ),
    "a circle of files": (
        "jobs:\n- {name: a, kind: embed, input: b.jsonl, output: a.jsonl}\n- {name: b, kind: embed, input: a.jsonl, output: b.jsonl}",
        "f:2:33: jobs[0].input: jobs need each other: a -> b -> a",
    ),
    "unknown embedder": (
        f"embedders: {{small: {{provider: local}}}}\njobs: [{{{JOB}, embedder: smal}}]",
        "f:2:67: jobs[0].embedder: unknown embedder 'smal'; allowed: small, local, or provider/model such as "
        "openai/text-embedding-3-small; did you mean 'small'?",
    ),
    "unknown provider": (
        f"embedders: {{e: {{provider: opnai, model: m}}}}\njobs: [{{{JOB}}}]",
        "f:1:27: embedders.e.provider: unknown provider 'opnai'; allowed: local, openai (openai with base_url for any compatible server)"
        "; did you mean 'openai'?",
    ),
    "unknown provider of the short form": (f"jobs: [{{{JOB}, embedder: opnai/m}}]", "f:1:67: jobs[0].embedder: unknown provider 'opnai/m'; allowed: local"),
    "no model": (f"embedders: {{e: {{provider: openai}}}}\njobs: [{{{JOB}}}]", "f:1:16: embedders.e.model: missing; allowed: a model's name"),
    "another local model": (f"jobs: [{{{JOB}, embedder: {{provider: local, model: x}}}}]", "f:1:67: jobs[0].embedder: the provider 'local' carries one model"),
    "unknown store": (
        "stores: {docs: {path: x.db}}\njobs: [{name: a, kind: ingest, input: i, store: dosc}]",
        "f:2:49: jobs[0].store: unknown store 'dosc'; allowed: docs; did you mean 'docs'?",
    ),
    "unknown store type": (
        "stores: {docs: {type: sqlit}}\njobs: [{name: a, kind: ingest, input: i, store: docs}]",
        "f:1:23: stores.docs.type: unknown store type 'sqlit'; allowed: sqlite; did you mean 'sqlite'?",
    ),
    "two jobs write one output": (
        f"jobs:\n- {{{JOB}}}\n- {{{JOB.replace('name: a', 'name: b').replace('o.jsonl', './x/../o.jsonl')}}}",
        "f:3:43: jobs[1].output: the job 'a' writes this output too; allowed: an output of its own",
    ),
    "two jobs write to stdout": (
        'jobs:\n- {name: a, kind: embed, input: i, output: "-"}\n- {name: b, kind: embed, input: i, output: "-"}',
        "f:3:44: jobs[1].output: the job 'a' writes to stdout already",
    ),
    "an output that is the input": (
        "jobs: [{name: a, kind: embed, input: x.jsonl, output: ./x.jsonl}]",
        "f:1:55: jobs[0].output: the job reads this file: an input cannot be an output",
    ),
    "an output that the input's glob takes in": (
        'jobs: [{name: a, kind: embed, input: "out/**/*.jsonl", output: out/a/x.jsonl}]',
        "f:1:64: jobs[0].output: the job reads this file",
    ),
    "an output over the job file": (
        "jobs: [{name: a, kind: embed, input: i, output: {path: jobs.yaml, format: jsonl}}]",
        "f:1:49: jobs[0].output: the output is this job file",
    ),
    "an unknown default": (f"defaults: {{max_failure: 1%}}\njobs: [{{{JOB}}}]", "f:1:12: defaults.max_failure: no option of a job; allowed: "),
    "a wrong default, told once": (
        f"defaults: {{max_failures: x}}\njobs: [{{{JOB}}}, {{{JOB.replace('name: a', 'name: b').replace('o.', 'p.')}}}]",
        "f:1:26: defaults.max_failures: not a number with a unit",
    ),
    "a name in the defaults": (f"defaults: {{name: x}}\njobs: [{{{JOB}}}]", "f:1:12: defaults.name: no option of a job"),
    "embedders that are no mapping": (f"embedders: [local]\njobs: [{{{JOB}}}]", "f:1:12: embedders: not a mapping"),
    "a variable's name": (f"vars: {{a-b: x}}\njobs: [{{{JOB}}}]", "f:1:8: vars.a-b: not a variable's name"),
    "a variable that is a list": (f"vars: {{a: [x]}}\njobs: [{{{JOB}}}]", "f:1:11: vars.a: a variable holds one text"),
}


@pytest.mark.parametrize(("text", "expected"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_told_once_and_at_its_place(mistakes, text, expected):
    found = mistakes(text)
    if expected == "f:1:":
        assert [line.split("; allowed")[0].split(": ", 1)[1] for line in found] == ["jobs[1].needs[0]: no job is named 'b'", "jobs[1].needs[2]: no job is named 'nots'"]
        return
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(mistakes):
    text = """\
embedders:
  e: {provider: opnai, model: m, timout: 3s}
jobs:
  - {name: a, kind: embed, inptu: i, output: o.txt}
  - {name: b, kind: ingest, input: i, chunk: {size: big}, needs: [c]}
  - {name: b, kind: query, input: "${NOWHERE}", output: o.csv, top_k: 0}
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
    text = f"jobs:\n- {{{JOB}, embedder: &e {{provider: local, timeout: x}}}}\n- {{{JOB.replace('name: a', 'name: b').replace('o.', 'p.')}, embedder: *e}}"
    assert [line.split(": not")[0] for line in mistakes(text)] == ["f:2:91: jobs[0].embedder.timeout", "f:2:91: jobs[1].embedder.timeout"]


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
    text = f"jobs: [{{{JOB}, embedder: openai/m, budget: {{cost: 5}}}}]"
    assert any(line.startswith("f:1:94: jobs[0].budget.cost: a budget of money needs a price") for line in mistakes(text))


LATER = {
    "a provider": (f"jobs: [{{{JOB}, embedder: {{provider: cohere, model: m}}}}]", "jobs[0].embedder.provider: the provider cohere"),
    "a provider's short form": (f"jobs: [{{{JOB}, embedder: cohere/m}}]", "jobs[0].embedder: the provider cohere"),
    "a store": ("stores: {s: {type: qdrant}}\njobs: [{name: a, kind: ingest, input: i, store: s}]", "stores.s.type: the store type qdrant"),
    "a format": (f"jobs: [{{{JOB.replace('input: i', 'input: {path: i, format: pdf}')}}}]", "jobs[0].input.format: the format pdf"),
    "an output": (f"jobs: [{{{JOB.replace('o.jsonl', 'o.npy')}}}]", "jobs[0].output: the output format npy"),
    "a way to cut": ("jobs: [{name: a, kind: ingest, input: i, chunk: {by: token}}]", "jobs[0].chunk.by: the way to cut token"),
    "a budget": (f"jobs: [{{{JOB}, budget: {{tokens: 5}}}}]", "jobs[0].budget: a budget"),
    "a longest run time": (f"defaults: {{max_runtime: 2h}}\njobs: [{{{JOB}}}]", "defaults.max_runtime: a longest run time"),
    "an executor": (f"executor: {{type: ray}}\njobs: [{{{JOB}}}]", "executor.type: running jobs on Ray"),
    "notifying": (f"notify: {{ping: http://x}}\njobs: [{{{JOB}}}]", "notify: notifying"),
    "endpoints": (f"jobs: [{{{JOB}, embedder: {{provider: openai, model: m, endpoints: [{{base_url: x}}]}}}}]", "jobs[0].embedder.endpoints: several endpoints"),
    "a twin": ("jobs: [{name: a, kind: ingest, input: i, on_new_space: rebuild}]", "jobs[0].on_new_space: filling a twin of a collection"),
}


@pytest.mark.parametrize(("text", "expected"), LATER.values(), ids=LATER)
def test_what_is_not_built_says_so(mistakes, text, expected):
    (line,) = mistakes(text)
    assert line.split(": ", 1)[1].startswith(f"{expected} is not in this version yet")


def test_an_answer_by_a_model_is_not_built(mistakes):
    text = "llms: {s: {provider: openai, model: m}}\njobs: [{name: a, kind: query, input: i, output: o.jsonl, llm: s}]"
    assert mistakes(text) == ["f:2:58: jobs[0].llm: answering from the hits is not in this version yet"]


def test_what_is_not_built_matters_only_where_it_is_used(load):
    text = f"embedders: {{c: {{provider: cohere, model: m}}}}\njobs: [{{{JOB}}}, {{name: b, kind: embed, embedder: c, input: i, output: p.jsonl}}]"
    assert [job.name for job in load(text, jobs=["a"]).selected(["a"])] == ["a"]
