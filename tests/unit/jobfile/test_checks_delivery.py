"""What a job file says of batches: who can be asked by them, by when rows should be there, and what is refused in one sentence."""

from __future__ import annotations

from datetime import time

import pytest

from asyncrun.jobfile import EmbedJob
from asyncrun.jobfile.objects import as_job_file
from asyncrun.jobfile.units import Deadline

FILE = """
embedders: {{x: {{{embedder}}}}}
jobs: [{{name: a, kind: embed, input: {{items: [x]}}, output: o.jsonl, embedder: x{keys}}}]
"""
BATCH = "provider: openai, model: text-embedding-3-small, delivery: batch"


def job(load, keys: str = "", embedder: str = BATCH):
    (loaded,) = load(FILE.format(embedder=embedder, keys=keys)).jobs
    return loaded


def test_requests_go_online_unless_the_file_says_batch(load):
    assert job(load, embedder="provider: openai, model: m").embedder.delivery == "online"
    assert job(load).embedder.delivery == "batch"


@pytest.mark.parametrize(
    ("typed", "deadline"),
    [
        ('"06:00"', Deadline(at=time(6))),
        ('"7:05"', Deadline(at=time(7, 5))),
        ("22:30", Deadline(at=time(22, 30))),
        ("06:00", Deadline(at=time(6))),
        ("8h", Deadline(seconds=28800.0)),
        ("90", Deadline(seconds=90.0)),
    ],
)
def test_a_deadline_is_a_time_of_day_or_a_duration(load, typed, deadline):
    assert job(load, f", deadline: {typed}, stragglers: online").deadline == deadline


@pytest.mark.parametrize("typed", ['"24:00"', '"6:60"', "noon", "0", "[6]", '"06:00:00"'])
def test_what_is_no_deadline_is_said_with_what_is(mistakes, typed):
    (line,) = mistakes(FILE.format(embedder=BATCH, keys=f", deadline: {typed}"))
    assert "jobs[0].deadline" in line
    assert "allowed: a local time of day such as '06:00', or a duration such as 8h" in line


@pytest.mark.parametrize(
    ("embedder", "told"),
    [
        (
            "provider: ollama, model: m, delivery: batch",
            "embedders.x.delivery: the provider ollama has no batch endpoint; allowed: online, ",
        ),
        ("provider: local, delivery: batch", "embedders.x.delivery: the provider local does not use it"),
        (
            "provider: openai, model: m, delivery: batch, endpoints: [{base_url: http://a}, {base_url: http://b}]",
            "embedders.x.delivery: a batch goes to one endpoint; allowed: online, or base_url instead of endpoints",
        ),
        ("provider: openai, model: m, delivery: overnight", "embedders.x.delivery: "),
    ],
)
def test_who_cannot_be_asked_by_batches_is_refused_in_one_sentence(mistakes, embedder, told):
    (line,) = mistakes(FILE.format(embedder=embedder, keys=", stragglers: online"))
    assert told in line


def test_an_embedder_in_place_and_another_address_are_checked_alike(load, mistakes):
    (line,) = mistakes("jobs: [{name: a, kind: ingest, input: {items: [x]}, embedder: {provider: jina, model: m, delivery: batch}}]")
    assert "jobs[0].embedder.delivery: the provider jina has no batch endpoint" in line
    assert job(load, embedder=f"{BATCH}, base_url: http://localhost:1/v1").embedder.delivery == "batch"


@pytest.mark.parametrize("key", ["deadline: 8h", "stragglers: online"])
def test_a_word_on_batches_needs_a_model_that_is_asked_by_them(mistakes, load, key):
    online = "provider: openai, model: m"
    (line,) = mistakes(FILE.format(embedder=online, keys=f", {key}"))
    assert f"jobs[0].{key.partition(':')[0]}: its requests do not wait in batches; allowed: delivery: batch at its embedder" in line
    inherited = FILE.format(embedder=online, keys="") + f"defaults: {{{key}}}"
    assert len(load(inherited).jobs) == 1


def test_an_llm_that_is_asked_by_batches_has_a_provider_with_an_endpoint(load, mistakes):
    ask = "jobs: [{name: a, kind: generate, input: {items: [x]}, prompt: 'Of {text}', output: o.jsonl, llm: x}]\n"
    (line,) = mistakes(ask + "llms: {x: {provider: heroku, model: m, delivery: batch}}")
    assert "llms.x.delivery: the provider heroku has no batch endpoint" in line
    (asked,) = load(ask + "llms: {x: {provider: mistral, model: m, delivery: batch}}").jobs
    assert asked.llm.delivery == "batch"


@pytest.mark.parametrize("deadline", ["06:00", "8h", 90])
def test_a_job_made_in_python_is_written_as_it_was_meant(deadline, load):
    embedder = {"provider": "openai", "model": "m", "delivery": "batch"}
    made = EmbedJob(name="a", input={"items": ["x"]}, output="o.npy", embedder=embedder, deadline=deadline, stragglers="online")
    (read,) = load(as_job_file([made]).text).jobs
    assert (read.deadline, read.stragglers) == (made.deadline, "online")


ASK = """
    llms: {{m: {{provider: openai, model: gpt, delivery: {llm}}}}}
    embedders: {{e: {{provider: openai, model: m, delivery: {embedder}}}}}
    jobs: [{{name: a, kind: query, input: {{items: [x]}}, embedder: e, llm: m, output: o.jsonl{keys}}}]
"""


@pytest.mark.parametrize(
    ("llm", "embedder", "keys"),
    [
        ("batch", "online", ", deadline: 8h"),
        ("batch", "batch", ", stragglers: online"),
        ("batch", "batch", ", deadline: 8h, search: keyword"),
    ],
)
def test_questions_and_answers_of_a_query_job_may_wait_in_batches(load, llm, embedder, keys):
    (job,) = load(ASK.format(llm=llm, embedder=embedder, keys=keys)).jobs
    assert job.llm.delivery == "batch"


@pytest.mark.parametrize("llm", ["online", "batch"])
def test_nobody_knows_when_an_answer_is_there_whose_question_waits(mistakes, llm):
    told = "deadline: its questions wait in batches before its answers are asked for, so that nobody knows when those are there"
    allowed = "allowed: an embedder with delivery: online, or no deadline"
    (line,) = mistakes(ASK.format(llm=llm, embedder="batch", keys=", deadline: 8h"))
    assert f"jobs[0].{told}; {allowed}" in line
    (line,) = mistakes(ASK.format(llm=llm, embedder="batch", keys="") + "    defaults: {deadline: 8h}\n")
    assert f"defaults.{told}" in line


def test_neither_model_of_a_query_job_waits_and_both_are_named(mistakes):
    (line,) = mistakes(ASK.format(llm="online", embedder="online", keys=", deadline: 8h"))
    assert "jobs[0].deadline: its requests do not wait in batches; allowed: delivery: batch at its embedder or llm, or no deadline" in line
