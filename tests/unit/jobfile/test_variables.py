"""Variables come from `--var`, the environment, then `vars`; only what is reached needs a value, and no value is ever shown."""

from __future__ import annotations

import pytest

from asyncrun.jobfile.variables import Variables

JOB = "jobs: [{name: a, kind: embed, input: i, output: o.jsonl}]"
FILE = """\
vars: {docs: from-vars}
jobs:
  - {name: a, kind: embed, input: "${docs}/x", output: o.jsonl}
"""


def path_of(job_file) -> str:
    return job_file.jobs[0].input.paths[0]


def test_a_given_value_comes_before_the_environment_and_that_before_the_file(load):
    assert path_of(load(FILE)) == "from-vars/x"
    assert path_of(load(FILE, environ={"docs": "from-environ"})) == "from-environ/x"
    assert path_of(load(FILE, environ={"docs": "from-environ"}, variables={"docs": "given"})) == "given/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("${A}${B:-two}", "onetwo"),
        ("${EMPTY:-two}", "two"),
        ("${NONE:-}", ""),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("${NONE:-$$5}", "$5"),
        ("$A and 5$", "$A and 5$"),
        ("${ONCE}", "${A}"),
        ("${DECLARED}", "one!"),
    ],
)
def test_a_text_is_expanded_once(text, expected):
    variables = Variables({}, {"A": "one", "EMPTY": "", "ONCE": "${A}"}, {"DECLARED": "${A}!"})
    expanded = variables.expand(text)
    assert (expanded.text, expanded.unset, expanded.broken) == (expected, (), None)


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A", "${A-x}", "${A B}", "${A:-${B}}"])
def test_what_cannot_be_read_as_a_variable_is_a_mistake(mistakes, text):
    (line,) = mistakes(f"jobs:\n- name: a\n  kind: embed\n  output: o.jsonl\n  input: 'x{text}'")
    assert line.startswith("f:5:10: jobs[0].input: ")
    assert "cannot be read as a variable; allowed: ${NAME}, ${NAME:-default}, and $$ for a dollar sign" in line


def test_a_variable_of_vars_may_use_the_environment_but_no_other_one(load, mistakes):
    text = 'vars: {a: "${HOME}/docs", b: "${a}"}\njobs: [{name: j, kind: embed, input: "${a}", output: o.jsonl}]'
    assert path_of(load(text, environ={"HOME": "/h"})) == "/h/docs"
    (line,) = mistakes(text.replace('input: "${a}"', 'input: "${b}"'), environ={"HOME": "/h"})
    assert line.startswith("f:2:38: jobs[0].input: the variable a is not set")


@pytest.mark.parametrize(
    ("environ", "problem"), [({}, "is not set"), ({"SOURCE": ""}, "is empty"), ({"SOURCE": "a\udcff"}, "is not valid UTF-8")]
)
def test_a_variable_without_a_value_is_a_mistake_with_its_place(mistakes, environ, problem):
    (line,) = mistakes("jobs:\n- {name: a, kind: embed, input: '${SOURCE}', output: o.jsonl}", environ=environ)
    expected = f"f:2:33: jobs[0].input: the variable SOURCE {problem}; allowed: export SOURCE or give it by --env-file, "
    assert line.startswith(f"{expected}pass --var SOURCE=VALUE, or write")


def test_a_mistyped_variable_gets_the_name_that_is_there(mistakes):
    (line,) = mistakes("jobs:\n- {name: a, kind: embed, input: '${OPENAI_KEI}', output: o.jsonl}", environ={"OPENAI_KEY": "hush"})
    assert "(there is OPENAI_KEY)" in line
    assert "hush" not in line


def test_a_number_is_parsed_after_its_variable(load):
    text = """\
jobs:
  - name: a
    kind: ingest
    input: i
    workers: ${N}
    prune: ${YES}
    chunk: {size: "${N}", overlap: 1}
    max_failures: ${P}
    embedder: {provider: openai, model: "${N}", timeout: "${T}", extra_body: {n: "${N}", list: [1]}}
"""
    (job,) = load(text, environ={"N": "12", "YES": "true", "P": "2%", "T": "1m"}).jobs
    assert (job.workers, job.prune, job.chunk.size, job.max_failures.percent) == (12, True, 12, 2.0)
    assert (job.embedder.model, job.embedder.timeout, job.embedder.extra_body) == ("12", 60.0, {"n": "12", "list": [1]})


def test_a_plain_variable_of_a_free_mapping_becomes_a_number(load):
    text = "embedders:\n  e:\n    provider: openai\n    model: m\n    extra_body:\n      n: ${N}\n" + JOB.replace("}]", ", embedder: e}]")
    assert load(text, environ={"N": "12"}).jobs[0].embedder.extra_body == {"n": 12}


def test_the_value_of_a_variable_is_never_shown(mistakes):
    text = """\
embedders: {e: {provider: "${S}", model: m, timeout: "${S}", limits: {concurrency: "${S}"}, api_key: "${K}", headers: {A: "${K}"}}}
stores: {s: {type: "${S}"}}
jobs:
  - {name: "${S}", kind: "${S}", input: "${S}", output: "${S}", needs: ["${S}"]}
  - {name: b, kind: query, input: {path: i, format: "${S}", duplicates: "${S}"}, output: o.jsonl, store: "${S}", search: "${S}"}
  - {name: d, kind: embed, input: i, output: o.jsonl, embedder: "${S}", budget: "${S}", workers: "${S}"}
  - {name: c, kind: ingest, input: i, chunk: {by: "${S}", size: "${S}"}, prune: "${S}", max_delete: "${S}"}
"""
    found = mistakes(text, environ={"S": "Sentinel!", "K": "Sentinel!\nwith a line break"})
    assert len(found) > 15
    assert not [line for line in found if "Sentinel" in line]


@pytest.mark.parametrize("key", ["of two\nlines", "with a\ttab", "clé"])
def test_a_key_that_no_header_can_carry_is_a_mistake(mistakes, key):
    text = "jobs: [{name: a, kind: embed, input: i, output: o.jsonl, embedder: {provider: openai, model: m, api_key: '${K}'}}]"
    [line] = mistakes(text, environ={"K": key})
    assert "a line break or another character that cannot be sent in a header" in line
    assert key not in line


def test_only_what_the_selected_jobs_reach_needs_a_value(load, mistakes):
    text = """\
embedders:
  near: {provider: local}
  far: {provider: openai, model: m, api_key: "${FAR_KEY}", timeout: "${FAR_TIMEOUT}"}
jobs:
  - {name: first, kind: ingest, input: "${FIRST}", embedder: near}
  - {name: second, kind: query, input: i, output: o.jsonl, needs: [first], embedder: near}
  - {name: third, kind: embed, input: "${THIRD}", output: "${THIRD_OUT}", embedder: far, workers: "${WORKERS}"}
"""
    assert [job.name for job in load(text, environ={"FIRST": "x"}, jobs=["second"]).jobs] == ["first", "second", "third"]
    assert [line.split(":")[1] for line in mistakes(text, jobs=["second"])] == ["5"]
    assert [line.split(":")[1] for line in mistakes(text, jobs=["third"])] == ["3", "3", "7", "7", "7"]


def test_without_resolving_no_variable_needs_a_value(load):
    text = "jobs: [{name: a, kind: embed, input: '${IN}', output: '${OUT}', workers: '${N}', embedder: {provider: local, timeout: '${T}'}}]"
    assert load(text, resolve=False).jobs[0].workers is None


def test_a_plan_needs_no_key(load):
    text = "jobs: [{name: a, kind: embed, input: i, output: o.jsonl, embedder: {provider: openai, model: m, api_key: '${NO_KEY}'}}]"
    assert load(text, need_keys=False).jobs[0].embedder.api_key is None


KEYS = {
    "in place": ("", "sk-1234567890123456"),
    "in a default": ("", "'${NO_SUCH:-sk-1234567890123456}'"),
    "in vars": ("vars: {K: sk-1234567890123456}\n", "'${K}'"),
    "in pieces": ("vars: {K: sk-12345678}\n", "'${K}90123456'"),
}


@pytest.mark.parametrize(("above", "key"), KEYS.values(), ids=KEYS)
def test_a_key_must_not_stand_in_the_file(mistakes, above, key):
    text = f"{above}embedders:\n  e: {{provider: openai, model: m, api_key: {key}}}\n{JOB}"
    line_number = 2 + bool(above)
    assert mistakes(text) == [
        f"f:{line_number}:44: embedders.e.api_key: a key must not stand in the job file; allowed: ${{VAR}}, or {{file: PATH}}",
    ]


def test_a_word_that_is_no_key_may_stand_for_one(load):
    text = "jobs: [{name: a, kind: embed, input: i, output: o.jsonl, embedder: {provider: openai, model: m, api_key: none}}]"
    assert load(text).jobs[0].embedder.api_key.get_secret_value() == "none"


def test_a_key_loses_the_line_break_at_its_end(load):
    text = "jobs: [{name: a, kind: embed, input: i, output: o.jsonl, embedder: {provider: openai, model: m, api_key: '${K}'}}]"
    assert load(text, environ={"K": "abc\n"}).jobs[0].embedder.api_key.get_secret_value() == "abc"
